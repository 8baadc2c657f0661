"""Match the tensors of a file with the calls of its program, and see at which step the file errs by itself.

A file's tensor is compared with what the program makes of the file's *own* tensors before it. So an error shows where
it is made, and not where it is carried to, however small it is and whatever follows. Names are only a hint: converters
rename, and number anew.
"""

from __future__ import annotations

import heapq
import math
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from torch.fx import Node

from edgekit.bisect.program import Walk
from edgekit.targets.base import Value

__all__ = ["Match", "allowed_in", "distance", "match"]

# Relative differences of one step that rounding explains. Sums in another order give 1e-6 in float32, approximations of
# functions 1e-4; a chain of a few operators that half precision rounds each, 1e-3; a step of 8 bits in a tensor that
# hardly fills its range, hundredths.
_ALLOWED = {"fp32": 5e-4, "fp16": 5e-3}
_ALLOWED_IN_INTEGERS = 0.1
_NEAREST, _NEXT = 3, 6  # calls that are tried: by what they give, and by their place
_AHEAD = 48  # calls of a size that are looked at
_BETWEEN = 24  # calls between two tensors of a file, at most
_OPEN = 6  # tensors without a call that are kept, the last ones
_BACK = 12  # how far the order of a file may differ from the program's
_SUFFIX = re.compile(r"(_cast_fp16|_to_fp16|_quantized|_dequantized|_output|_nchwc|:0)+$")


@dataclass(frozen=True, eq=False)
class Match:
    """A tensor of the file, in the arrangement of its call, and how far it is from what the program makes."""

    node: Node
    value: Value
    tensor: Tensor
    error: float  # of this step alone, relative
    expected: Tensor  # by the program, of the file's tensors before it
    segment: Sequence[Node] = ()  # the calls before it that the file gave no tensor of, and it


def allowed_in(precision: str) -> float:
    """The relative difference of one step that rounding explains, at "fp32", "fp16" or under a plan."""
    return _ALLOWED.get(precision, _ALLOWED_IN_INTEGERS)


def distance(one: Tensor, due: Tensor) -> float:
    """The length of the difference over that of `due`; infinity where one has a number and the other none."""
    length, apart = _lengths(one, due)
    if not math.isfinite(length + apart):
        finite = torch.isfinite(due)
        if not bool((torch.isfinite(one) == finite).all()):
            return math.inf
        length, apart = _lengths(torch.where(finite, one, 0), torch.where(finite, due, 0))
    return apart / length if length else (0.0 if apart == 0 else math.inf)


def _lengths(one: Tensor, due: Tensor) -> tuple[float, float]:
    """Of `due`, and of the difference."""
    norm = torch.linalg.vector_norm
    return float(norm(due, dtype=torch.float64)), float(norm(one - due, dtype=torch.float64))


def match(walk: Walk, values: Iterable[Value], *, allowed: float, channels_last: bool) -> tuple[list[Match], int]:
    """The tensors of a file that could be matched, in the program's order, and how many tensors it has.

    A tensor that no call gives is a step that errs, if calls after it give the file's next tensors once they are
    computed from it; else it lies inside a call, as the product before a bias does, and is left out.

    Args:
        walk: the program with the image.
        values: of the file for the same image, in the order in which it makes them.
        allowed: a step's relative difference that is rounding.
        channels_last: whether the file's maps have their channels last.
    """
    finder = _Finder(walk, allowed, channels_last)
    seen = sum(finder.see(value) for value in values)
    finder.end()
    return sorted(finder.matches, key=lambda one: walk.places[one.node]), seen


class _Finder:
    """What was matched so far, and the calls and tensors that are left."""

    def __init__(self, walk: Walk, allowed: float, channels_last: bool) -> None:
        self._walk, self._allowed, self._channels_last = walk, allowed, channels_last
        self._left: dict[tuple[int, ...], dict[Node, None]] = defaultdict(dict)
        for node in walk.nodes:
            self._left[_sizes(walk.own(node).shape)][node] = None
        self._names = {node.name: node for node in walk.nodes}
        self._last = -1  # the place of the last call that was matched
        self._open: deque[tuple[Value, Tensor]] = deque(maxlen=_OPEN)  # tensors that no call gives
        self._unplaced: tuple[Value, Tensor] | None = None  # the last of all tensors, if it is one of these
        self._near: WeakKeyDictionary[Value, dict[Node, float]] = WeakKeyDictionary()
        self.matches: list[Match] = []

    def see(self, value: Value) -> bool:
        """Match the file's next tensor; whether it is one of real numbers."""
        if value.tensor.dtype.kind != "f" or value.tensor.size < 2:
            return False
        tensor = torch.from_numpy(np.ascontiguousarray(value.tensor)).float()
        found = self._clean(value, tensor, self._candidates(value, tensor))
        if found is None:
            found = self._after_a_jump(value, tensor)
        self._unplaced = None
        if found is None:
            self._unplaced = value, tensor
            self._open.append(self._unplaced)
        else:
            self._take(found)
        return True

    def end(self) -> None:
        """The last tensor is the embedding, also where no call gives it."""
        last = self._walk.nodes[-1]
        if last in self._left[_sizes(self._walk.own(last).shape)] and self._unplaced is not None:
            found = min(self._tried(*self._unplaced, [last]), key=lambda one: one.error, default=None)
            if found is not None:
                self._take(found)

    def _take(self, found: Match) -> None:
        found = replace(found, segment=self._walk.segment(found.node))
        self._walk.give(found.node, found.tensor)
        if found.node not in self._left[_sizes(found.expected.shape)]:  # given before, and changed since
            self.matches = [one for one in self.matches if one.node is not found.node]
        self._left[_sizes(found.expected.shape)].pop(found.node, None)
        self._last = max(self._last, self._walk.places[found.node])
        self.matches.append(found)

    def _clean(self, value: Value, tensor: Tensor, nodes: Iterable[Node]) -> Match | None:
        """The one of these calls that gives this tensor of those before it."""
        best: Match | None = None
        for found in self._tried(value, tensor, nodes):
            if best is None or found.error < best.error:
                best = found
            if best.error <= self._allowed / 10:
                break
        return best if best is not None and best.error <= self._allowed else None

    def _after_a_jump(self, value: Value, tensor: Tensor) -> Match | None:
        """The call that gives this tensor if one of those without a call is a step that errs, which is taken then."""
        needs = {node: self._walk.before(node, _BETWEEN) for node in self._candidates(value, tensor)}
        for index in range(len(self._open) - 1, -1, -1):
            open_value, open_tensor = self._open[index]
            nodes = [*self._candidates(open_value, open_tensor), *self._lately(open_tensor)]
            erring = [node for node in nodes if any(node in due for due in needs.values())]
            for jump in self._tried(open_value, open_tensor, erring):
                before = self._walk.given(jump.node)
                self._walk.give(jump.node, jump.tensor)
                found = self._clean(value, tensor, [node for node, due in needs.items() if jump.node in due])
                self._walk.give(jump.node, before)
                if found is not None:
                    self._take(jump)
                    del self._open[index]
                    return found
        return None

    def _lately(self, tensor: Tensor) -> list[Node]:
        """Calls whose tensor the file gave, and perhaps changed before anything read it: a range that clips, say."""
        sizes = _sizes(tensor.shape)
        return [one.node for one in self.matches[-_OPEN:] if _sizes(one.expected.shape) == sizes]

    def _tried(self, value: Value, tensor: Tensor, nodes: Iterable[Node]) -> Iterator[Match]:
        """The tensor beside what each call gives of the file's tensors before it."""
        memo: dict[Node, Any] = {}
        for node in nodes:
            if not self._walk.before(node, _BETWEEN):
                continue
            expected = self._walk.again(node, memo)
            arranged = _arrangements(tensor, expected.shape, self._channels_last)
            found = [Match(node, value, one, distance(one, expected), expected) for one in arranged]
            if found:
                yield min(found, key=lambda one: one.error)

    def _candidates(self, value: Value, tensor: Tensor) -> Iterator[Node]:
        """The calls that are worth trying, each once: of its name, next in order, and of the nearest values."""
        left = self._left[_sizes(tensor.shape)]
        named = self._names.get(_SUFFIX.sub("", value.name))
        after = [node for node in left if self._walk.places[node] > self._last - _BACK][:_AHEAD]
        first = [*([named] if named in left else []), *after[:1]]
        yield from dict.fromkeys(first)

        rest = [*heapq.nsmallest(_NEAREST, after, key=partial(self._nearness, value, tensor)), *after[:_NEXT]]
        yield from (node for node in dict.fromkeys(rest) if node not in first)

    def _nearness(self, value: Value, tensor: Tensor, node: Node) -> float:
        """How far the tensor is from what the program alone gives there."""
        known = self._near.setdefault(value, {})
        if node not in known:
            own = self._walk.own(node)
            arranged = _arrangements(tensor, own.shape, self._channels_last)
            known[node] = min((distance(one, own) for one in arranged), default=math.inf)
        return known[node]


def _arrangements(tensor: Tensor, shape: Sequence[int], channels_last: bool) -> Iterator[Tensor]:
    """The tensor with the axes of a call's, as they may lie in the file: channels first, or last."""
    shape = tuple(shape)
    if channels_last and len(shape) == 4:
        moved = (shape[0], shape[2], shape[3], shape[1])
        if _plain(tensor.shape) == _plain(moved):
            yield tensor.reshape(moved).permute(0, 3, 1, 2).contiguous()
    if _plain(tensor.shape) == _plain(shape):
        yield tensor.reshape(shape)


def _plain(shape: Iterable[int]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _sizes(shape: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(_plain(shape)))
