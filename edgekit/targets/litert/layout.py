"""Values whose axes may lie in memory in another order than the program's: permutations that nobody has to run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgekit.targets.litert.draft import Draft, Tensor

__all__ = ["NHWC", "Value", "arranged", "natural", "reshaped"]

NHWC = (0, 2, 3, 1)


@dataclass(frozen=True)
class Value:
    """A tensor of the file as the program sees it: axis `p` in memory is axis `order[p]` of the program's tensor.

    Where `coded`, the tensor holds integers, and the program means the numbers that these stand for.
    """

    tensor: Tensor
    order: tuple[int, ...]
    coded: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """As the program sees it."""
        sizes = [0] * len(self.order)
        for place, axis in enumerate(self.order):
            sizes[axis] = self.tensor.shape[place]
        return tuple(sizes)

    def place(self, axis: int) -> int:
        """Where an axis of the program lies in memory."""
        return self.order.index(axis % len(self.order))

    def permuted(self, axes: Sequence[int]) -> Value:
        """As the program permutes it; nothing moves."""
        return Value(self.tensor, tuple(list(axes).index(axis) for axis in self.order), self.coded)


def natural(rank: int) -> tuple[int, ...]:
    """The order of a tensor that lies as the program sees it."""
    return tuple(range(rank))


def arranged(draft: Draft, value: Value, order: Sequence[int]) -> Tensor:
    """The value's tensor with its axes in this order: constants are moved now, others where they have to be."""
    order = tuple(order)
    if order == value.order:
        return value.tensor
    tensor = value.tensor
    moves = [value.order.index(axis) for axis in order]
    shape = [tensor.shape[place] for place in moves]
    moved = [place for place in moves if tensor.shape[place] != 1]
    if tensor.data is not None:
        steps = tensor.steps and replace(tensor.steps, axis=moves.index(tensor.steps.axis) if moves else 0)
        return draft.constant(tensor.data.transpose(moves), steps, tensor.dtype)
    if moved == sorted(moved):  # only axes of one entry move
        return reshape(draft, tensor, shape)
    permutation = draft.constant(np.array(moves, np.int32))
    return draft.emit("TRANSPOSE", [tensor, permutation], shape, tensor.dtype, steps=tensor.steps)


def reshape(draft: Draft, tensor: Tensor, shape: Sequence[int]) -> Tensor:
    if tensor.data is not None:
        return draft.constant(tensor.data.reshape(tuple(shape)), tensor.steps, tensor.dtype)
    maker = draft.maker(tensor)
    if maker is not None and maker.kind == "RESHAPE":
        assert maker.inputs[0] is not None
        tensor = maker.inputs[0]
    if tensor.shape == tuple(shape):
        return tensor
    sizes = draft.constant(np.array(shape, np.int32))
    return draft.emit("RESHAPE", [tensor, sizes], shape, tensor.dtype, steps=tensor.steps, newShape=list(shape))


def reshaped(draft: Draft, value: Value, shape: Sequence[int]) -> Value:
    """The value in another shape, in the order that it lies in wherever that is possible."""
    shape = tuple(shape)
    if value.shape == shape:
        return value
    groups = _groups(value.shape, shape)
    placed = _placed(value, groups)
    if placed is None:
        return Value(reshape(draft, arranged(draft, value, natural(len(value.shape))), shape), natural(len(shape)),
                     value.coded)  # fmt: skip
    order = tuple(axis for number in placed for axis in groups[number][1])
    return Value(reshape(draft, value.tensor, [shape[axis] for axis in order]), order, value.coded)


def _groups(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The axes before and after in the smallest groups of consecutive ones that hold the same values."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        one, other = [], []
        have, want = 1, 1
        while (not one and not other) or have != want:
            if have <= want and i < len(before) and (have < want or not one):
                have *= before[i]
                one.append(i)
                i += 1
            elif j < len(after):
                want *= after[j]
                other.append(j)
                j += 1
            else:
                have *= before[i]
                one.append(i)
                i += 1
        groups.append((one, other))
    return groups


def _placed(value: Value, groups: Sequence[tuple[list[int], list[int]]]) -> list[int] | None:
    """The order in which the groups lie in memory; None where one of them does not lie together and in order."""
    sizes, home = value.shape, {}
    for number, (one, _) in enumerate(groups):
        home.update(dict.fromkeys(one, number))
    seen: list[int] = []
    last: dict[int, int] = {}
    for axis in value.order:
        if sizes[axis] == 1:
            continue
        number = home[axis]
        if (seen and seen[-1] != number and number in seen) or last.get(number, -1) > axis:
            return None
        if not seen or seen[-1] != number:
            seen.append(number)
        last[number] = axis
    # Groups of one entry may stand anywhere: each goes in front of the next group of the program that is placed.
    placed = list(seen)
    for number in reversed(range(len(groups))):
        if number not in seen:
            place = placed.index(number + 1) if number + 1 in placed else len(placed)
            placed.insert(place, number)
    assert math.prod(sizes) >= 0
    return placed
