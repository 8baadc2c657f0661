"""Which calls of a program half precision spoils: the few that must stay in float32, found on photographs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Node

from edgekit.graph.edit import VIEWS, getitem, module_path, op_name
from edgekit.graph.half_simulation import SPELLED, Simulation, norm_at_the_end, rounded

__all__ = ["Finding", "WideCall", "difference", "find_wide"]

aten = torch.ops.aten

HALF_MAX = 65504.0
_RANKED = 2  # images on which every call is tried alone; of a program with many calls one
_MANY, _GROUP = 256, 16  # of more calls than that, groups are tried first, and the dearest groups' calls then
_LENGTH_WEIGHT = 0.2  # the gates let a length be five times as far off as a cosine
_NOTICED = 0.1  # of a call's loss or the goal: below that, what it gives may be rounded
_BLAMED = 0.1  # of what the file lost: what the simulation must show for half precision to be to blame
_OTHER_GATE = 0.25  # of the loss may stay where it was not the cosine that missed its gate
_COARSE = 0.01  # a tensor that loses so much of itself is too small for half precision
_FEW, _SHARE = 16, 0.25  # so many calls may stay in float32, or that share of all
_SPLITS = {aten.chunk.default, aten.split.Tensor, aten.split_with_sizes.default, aten.unbind.int, getitem}
_VIEWS = VIEWS | _SPLITS


@dataclass(frozen=True)
class WideCall:
    """A call that half precision spoils, or that takes what such a call gives: why it is to stay in float32."""

    node: str  # its name in the program
    op: str
    module: str  # the path of the module that it comes from
    largest: float  # of what it gives, without sign, on the images
    reason: str

    def __str__(self) -> str:
        return f"{self.op} in {self.module} ({self.reason})"


@dataclass(frozen=True)
class Finding:
    """What half precision does to a program by the simulation; the loss is 1 - cosine of the worst image."""

    calls: Sequence[WideCall]  # that stay in float32; empty where no few calls help
    total: int  # calls that compute
    worst: WideCall | None  # the call that half precision costs most; none where it is not to blame for what is lost
    loss: float  # with every call in half precision


def find_wide(
    program: ExportedProgram,
    images: Sequence[Tensor],
    *,
    allowed: float,
    measured: float,
    norm_is_wide: bool,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Finding:
    """The smallest set of calls whose float32 brings the worst image's loss, 1 - cosine, down to half of `allowed`.

    `images` are inputs of the program; `measured` is what the written file lost, infinite for NaN: where that is more
    than the simulation shows, the simulated loss has to shrink as much as the file's. Each call is tried in half
    precision alone; those that cost most are taken until the rest may be half, and left out again where that does no
    harm. `norm_is_wide`: the runtime keeps the last L2 norm in float32 anyway.
    """
    with torch.inference_mode():
        search = _Search(program, images, norm_is_wide)
        before = search.loss(())
        blamed = before >= _BLAMED * min(measured, allowed)
        ranked = search.rank(progress) if blamed else []
        search.goal = _goal(allowed, measured, before)
        chosen = search.choose(ranked)
        calls = search.describe_all(chosen)
        worst = search.describe(ranked[0][0], [ranked[0][0]]) if ranked else None
        return Finding(calls, len(search.computing), worst, before)


def difference(program: ExportedProgram, other: ExportedProgram, images: Sequence[Tensor]) -> float:
    """The largest 1 - cosine between the embeddings of two programs in float32."""
    with torch.inference_mode():
        left, right = Simulation(program), Simulation(other)
        return max(_loss(right.exact(image)[right.result], left.exact(image)[left.result]) for image in images)


def _goal(allowed: float, measured: float, before: float) -> float:
    """The simulated loss to aim at: half of what is allowed, less where the file lost more than was simulated."""
    if math.isinf(measured):
        return allowed / 2
    return min(allowed / 2, before * (allowed / 2 / measured if measured > allowed else _OTHER_GATE))


class _Search:
    def __init__(self, program: ExportedProgram, images: Sequence[Tensor], norm_is_wide: bool) -> None:
        self.goal = 0.0
        (result,) = program.graph.output_node().args[0]
        kept = norm_at_the_end(result)[1] if norm_is_wide else set()
        self.simulation = Simulation(program, kept)
        self.computing = [node for node in self.simulation.calls if node.target not in _VIEWS and node not in kept]
        ranked = _RANKED if len(self.computing) <= _MANY else 1
        self._exact = [self.simulation.exact(image) for image in images[:ranked]]
        exact = itertools.chain(self._exact, map(self.simulation.exact, images[ranked:]))
        self._wanted = [(image, values[self.simulation.result]) for image, values in zip(images, exact, strict=True)]
        self._spread: dict[Node, list[Node]] = {}

    def loss(self, wide: Collection[Node]) -> float:
        """The simulated loss of the worst image; infinite where an embedding is not finite."""
        return max(_loss(self.simulation.mixed(image, wide), wanted) for image, wanted in self._wanted)

    def rank(self, progress: Callable[[int, int], None]) -> list[tuple[Node, float]]:
        """Calls and their losses in half precision alone, the dearest first; of many calls, the dearest groups'."""
        costs, suspects = [], self._suspects()
        for done, node in enumerate(suspects):
            costs.append((node, self._alone(node, result_only=False)))
            progress(done + 1, len(suspects))
        return sorted(costs, key=lambda pair: -pair[1])

    def _suspects(self) -> Sequence[Node]:
        calls = self.computing
        if len(calls) <= _MANY:
            return calls
        exact = self._exact[0]
        groups = [calls[start : start + _GROUP] for start in range(0, len(calls), _GROUP)]
        costs = [_loss(self.simulation.alone(group, exact), exact[self.simulation.result]) for group in groups]
        dearest = sorted(range(len(groups)), key=lambda index: -costs[index])[: _MANY // _GROUP]
        return [node for index in sorted(dearest) for node in groups[index]]

    def choose(self, ranked: Sequence[tuple[Node, float]]) -> list[Node]:
        """The first calls of the ranking that suffice, without those that can be spared; none where no few do."""
        limit = max(_FEW, int(_SHARE * len(self.computing)))
        order = [node for node, cost in ranked if cost > 0]
        most = min(len(order), limit)
        while most and len(self.wide(order[:most])) > limit:
            most -= 1
        if not most or self.loss(self.wide(order[:most])) > self.goal:
            return []
        too_few, enough = 0, most
        while enough - too_few > 1:
            middle = (too_few + enough) // 2
            if self.loss(self.wide(order[:middle])) <= self.goal:
                enough = middle
            else:
                too_few = middle
        chosen = order[:enough]
        for node in reversed(chosen[:_FEW]):
            fewer = [other for other in chosen if other is not node]
            if fewer and self.loss(self.wide(fewer)) <= self.goal:
                chosen = fewer
        return chosen

    def wide(self, chosen: Collection[Node]) -> set[Node]:
        """These calls, and where what they give does not fit into half precision, those that take it."""
        return {node for call in chosen for node in self._with_takers(call)} - self.simulation.kept

    def _with_takers(self, node: Node) -> list[Node]:
        if node not in self._spread:
            whole = self._alone(node, result_only=False)
            matters = not self._alone(node, result_only=True) < _NOTICED * min(whole, self.goal)
            self._spread[node] = [node, *(_takers(node) if matters else [])]
        return self._spread[node]

    def _alone(self, node: Node, *, result_only: bool) -> float:
        if not _tensors(self._exact[0][node]):
            return 0.0
        return max(
            _loss(self.simulation.alone([node], exact, result_only=result_only), exact[self.simulation.result])
            for exact in self._exact
        )

    def describe_all(self, chosen: Collection[Node]) -> list[WideCall]:
        """Every call that stays in float32, in the program's order."""
        wide = self.wide(chosen)
        return [self.describe(node, chosen) for node in self.simulation.calls if node in wide]

    def describe(self, node: Node, chosen: Collection[Node]) -> WideCall:
        """The call with its module, its largest value, and what half precision does to it."""
        largest = max(_largest(exact[node]) for exact in self._exact)
        reason = self._spoiled(node, largest) if node in chosen else None
        if reason is None:
            sources = [call for call in chosen if node in self.wide([call])]
            reason = f"takes what {op_name(sources[0])} gives" if sources else "loses most"
        return WideCall(node.name, op_name(node), module_path(node), largest, reason)

    def _spoiled(self, node: Node, largest: float) -> str:
        far = max((_largest(item) for item in self.simulation.numbers_of(node)), default=0.0)
        if largest > HALF_MAX:
            return f"values to {largest:.2g}, half precision ends at {HALF_MAX:.0f}"
        if far > HALF_MAX:
            return f"a constant of {far:.2g}, half precision ends at {HALF_MAX:.0f}"
        given = _largest(self._exact[0][node.all_input_nodes[0]]) if node.target in SPELLED else 0.0
        if given**2 > HALF_MAX:
            return f"squares of values to {given:.2g}"
        constants = [("constants", item) for item in self.simulation.numbers_of(node)]
        for what, item in [("values", self._exact[0][node]), *constants]:
            if _coarse(item) > _COARSE:
                return f"{what} of {_typical(item):.1g}, below what half precision can tell apart"
        return f"rounding it alone costs {self._alone(node, result_only=False):.1g} of cosine"


def _takers(node: Node) -> list[Node]:
    """The calls that take what this one gives, through views of it, and those views."""
    takers: list[Node] = []
    queue = [node]
    while queue:
        for user in queue.pop().users:
            if user.op == "call_function" and user not in takers:
                takers.append(user)
                if user.target in _VIEWS:
                    queue.append(user)
    return takers


def _loss(embedding: Tensor, exact: Tensor) -> float:
    """1 - cosine, or a fifth of the length's error where that is more; infinite for what is not finite."""
    length = float(embedding.norm())
    if not 0 < length < float("inf"):
        return float("inf")
    cosine = float((embedding.double() * exact.double()).sum() / (embedding.double().norm() * exact.double().norm()))
    return max(1 - cosine, _LENGTH_WEIGHT * abs(length - float(exact.norm())))


def _tensors(value: Any) -> list[Tensor]:
    items = value if isinstance(value, (tuple, list)) else [value]
    return [item for item in items if isinstance(item, Tensor) and item.is_floating_point() and item.numel()]


def _largest(value: Any) -> float:
    """The largest finite number in it, without sign."""
    finite = (item[item.isfinite()].abs() for item in _tensors(value))
    return max((float(numbers.max()) for numbers in finite if len(numbers)), default=0.0)


def _typical(value: Any) -> float:
    return max((float(item.square().mean().sqrt()) for item in _tensors(value)), default=0.0)


def _coarse(value: Any) -> float:
    """What share of itself it loses in half precision."""
    shares = ((rounded(item) - item).norm() / item.norm().clamp_min(1e-38) for item in _tensors(value))
    return max(map(float, shares), default=0.0)
