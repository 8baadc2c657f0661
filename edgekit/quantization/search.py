"""Which scheme for which layer: the cheapest set that keeps the embedding."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from torch.fx import Node

from edgekit.errors import UsageError
from edgekit.quantization.judge import Loss
from edgekit.quantization.layers import Layer, large, moves, values_of
from edgekit.quantization.schemes import SCHEMES, WEIGHTED, candidates
from edgekit.quantization.sensitivity import Damage

__all__ = ["TRIFLE", "Step", "first_choice", "integers_pay", "search", "steps", "without_isolated"]

_ELEMENT = 32.0  # multiplications that cost as much time as one value of an operator without weights,
_BORDER = 16.0  # and as one value that goes from integers to float or back
_BYTE = 0.2  # share of the time that all weights in float, not in 8 bits, count as much as
_FAINT = 0.5  # weights only: where that leaves at most this share of the damage
# What static layers must save in ONNX Runtime, in multiplications, for each value that is converted at their borders
# and for each that a static sigmoid or product takes. Fitted to benchmarks/quantize.py and `edgekit bench` on x86 with
# VNNI: catalog-s0, 50 a border, gains nothing; catalog-b0, 30 a product, loses 15 % with 1.4 million values at borders
# and gains 10 % with half a million; catalog-mobilevit-xs gains 20 %; EfficientNet-Lite0, 300 a border, gains 35 %.
_WORTH_BORDER, _WORTH_VALUE = 48.0, 28.0
_STRIDE = 20  # share of the steps that are taken at once where the images that were not searched on want more
_ROUNDS = 3  # of taking steps back, each with the image on which the one before fell short
_TAKEN_BACK = 12  # at most so many steps, the dearest, are tried without
TRIFLE = 1e-2  # of all damage together: not worth a step before all others are taken


@dataclass(frozen=True)
class Step:
    """A layer that gets a dearer scheme: how much damage goes (1 - cosine), and what it costs (share of the time)."""

    layer: str
    scheme: str
    saved: float
    cost: float


def first_choice(layers: Sequence[Layer]) -> dict[str, str]:
    """Every layer under its fastest scheme."""
    return {layer.name: candidates(layer.kind)[0] for layer in layers}


def without_isolated(layers: Sequence[Layer], schemes: Mapping[str, str]) -> dict[str, str]:
    """The same schemes, but float for operators without weights that would be isolated: integers among floats.

    Such an operator stays quantized only where a static layer gives it a value and a static layer takes its own, with
    nothing between them but changes of shape: elsewhere it costs two conversions and saves nothing.
    """
    now = dict(schemes)
    by_result = {layer.result: layer for layer in layers}
    by_node = {layer.node: layer for layer in layers}

    def static(layer: Layer | None) -> bool:
        return layer is not None and SCHEMES[now[layer.name]].static

    changed = True
    while changed:
        changed = False
        for layer in layers:
            if layer.kind in WEIGHTED or not static(layer):
                continue
            fed = any(static(by_result.get(_source(node, by_result))) for node in layer.inputs)
            used = any(static(by_node.get(user)) for user in _takers(layer.result))
            if not (fed and used):
                now[layer.name] = "float"
                changed = True
    return now


def steps(layers: Sequence[Layer], damage: Mapping[str, Mapping[str, Damage]]) -> list[Step]:
    """Every layer's way out, the most damage saved for its cost first."""
    work = {layer.name: _work(layer) for layer in layers}
    fast = without_isolated(layers, first_choice(layers))
    static = {layer.result for layer in layers if SCHEMES[fast[layer.name]].static}
    whole = sum(work.values())
    parameters = {layer.name: 0 if layer.weight is None else values_of(layer.weight) for layer in layers}
    every = max(1, sum(parameters.values()))
    out = []
    for layer in layers:
        if layer.name not in damage:
            continue  # in float already: no static layer before or after it
        own = damage[layer.name]
        fastest = candidates(layer.kind)[0]
        scheme, left = "float", 0.0
        milder = candidates(layer.kind)[-1]
        if milder in own and large(layer) and own[milder].worst <= _FAINT * own[fastest].worst:
            scheme, left = milder, own[milder].worst
        saved = own[fastest].worst - left
        cost = _BYTE * parameters[layer.name] / every if scheme == "float" else 0.0
        cost += (
            (SCHEMES[scheme].time_of(layer.kind) - SCHEMES[fastest].time_of(layer.kind)) * work[layer.name]
            + _borders(layer, static)
        ) / whole
        out.append(Step(layer.name, scheme, saved, cost))
    trifle = TRIFLE * sum(step.saved for step in out)
    return sorted(out, key=lambda step: (step.saved < trifle, -step.saved / max(step.cost, 1e-9), step.layer))


def search(
    layers: Sequence[Layer],
    order: Sequence[Step],
    worst: Callable[[Mapping[str, str], float], float],
    judge: Callable[[Mapping[str, str], float], Loss],
    *,
    min_cosine: float,
    max_recall_drop: float,
) -> tuple[dict[str, str], Loss]:
    """The fewest steps, taken in `order`, after which the whole model keeps both limits; and what it then loses.

    Of those, the dearest are taken back where the model keeps its limits without them: a step's own damage, which
    orders them, says little of what it does beside others.

    Args:
        layers: the layers.
        order: what can be done for them.
        worst: the lowest cosine under some schemes on the hardest images, or the first below a limit; quick, and asked
            often. An image on which `judge` found the loss too high should be among them from then on.
        judge: the loss under some schemes on all images, or on those up to the first below a limit; asked of what
            `worst` lets pass.

    Raises:
        UsageError: not even all steps are enough; says the best that was found.
    """

    def after(chosen: Sequence[Step]) -> dict[str, str]:
        return without_isolated(layers, {**first_choice(layers), **{step.layer: step.scheme for step in chosen}})

    def keeps(chosen: Sequence[Step]) -> bool:
        return worst(after(chosen), min_cosine) >= min_cosine

    count = _fewest(order, keeps)
    if count is None:
        raise _refusal(min_cosine, max_recall_drop, worst(after(order), -1.0))
    while True:
        last = count == len(order)
        loss = judge(after(order[:count]), -1.0 if last else min_cosine)
        if loss.meets(min_cosine, max_recall_drop):
            break
        if last:
            raise _refusal(min_cosine, max_recall_drop, loss.min_cosine)
        count = min(len(order), count + max(1, len(order) // _STRIDE))
    for _ in range(_ROUNDS):
        fewer = _without_the_dearest(order[:count], keeps)
        if len(fewer) == count:
            break
        less = judge(after(fewer), min_cosine)
        if less.meets(min_cosine, max_recall_drop):
            return after(fewer), less
    return after(order[:count]), loss


def _fewest(order: Sequence[Step], keeps: Callable[[Sequence[Step]], bool]) -> int | None:
    """How many steps of `order` are enough; None where not even all of them are."""
    if keeps(order[:0]):
        return 0
    if not keeps(order):
        return None
    low, high = 0, len(order)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if keeps(order[:middle]) else (middle, high)
    return high


def _without_the_dearest(taken: Sequence[Step], keeps: Callable[[Sequence[Step]], bool]) -> list[Step]:
    """The steps without those of the dearest that are not needed beside the others."""
    fewer = list(taken)
    for step in sorted(taken, key=lambda step: -step.cost)[:_TAKEN_BACK]:
        without = [other for other in fewer if other is not step]
        if keeps(without):
            fewer = without
    return fewer


def _refusal(min_cosine: float, max_recall_drop: float, best: float) -> UsageError:
    return UsageError(
        f"no plan keeps cosine {min_cosine:g} and {max_recall_drop:g} points of recall@10; the best has cosine "
        f"{best:.5f}: lower `min_cosine`, or export without a plan",
        field="min_cosine",
    )


def integers_pay(layers: Sequence[Layer], schemes: Mapping[str, str]) -> bool:
    """Whether static layers do enough between the conversions around them that ONNX Runtime gains by them."""
    static = [layer for layer in layers if SCHEMES[schemes[layer.name]].static]
    results, nodes = {layer.result for layer in static}, {layer.node for layer in static}
    given = sum(values_of(layer.result) for layer in static if not nodes.issuperset(_takers(layer.result)))
    taken = sum(values_of(node) for layer in static for node in layer.inputs if _source(node, results) not in results)
    values = sum(values_of(layer.node) for layer in static if layer.kind in ("sigmoid", "mul"))
    saved = sum(_work(layer) for layer in static if layer.weight is not None)
    return saved >= _WORTH_BORDER * (given + taken) + _WORTH_VALUE * values


def _work(layer: Layer) -> float:
    """Multiplications of a layer, or what its values cost as much as."""
    out = values_of(layer.node)
    if layer.weight is None:
        return _ELEMENT * out
    per_value = math.prod(layer.weight.meta["val"].shape[1:])
    return max(float(out * per_value), _ELEMENT * out)


def _borders(layer: Layer, static: Collection[Node]) -> float:
    """What the conversions cost that a static layer needs around it once it is in float."""
    if layer.result not in static:
        return 0.0
    crossed = [layer.result, *(node for node in layer.inputs if _source(node, static) in static)]
    return _BORDER * sum(map(values_of, crossed))


def _source(node: Node, results: Collection[Node]) -> Node:
    """The node that made a value, seen through changes of shape and clamps that are none of `results`."""
    while node not in results and moves(node) and isinstance(node.args[0], Node):
        node = node.args[0]
    return node


def _takers(node: Node) -> list[Node]:
    """The nodes that take a value, seen through changes of shape."""
    return [taker for user in node.users for taker in (_takers(user) if moves(user) else [user])]
