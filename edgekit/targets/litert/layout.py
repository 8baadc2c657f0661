"""Values whose axes may lie in memory in another order than the program's: permutations that nobody has to run.

What reshapes and permutes in a row make of a value is kept as a view of it, in which axes are split into the smallest
parts that move together. Only when an operator reads the view is anything moved, at once and by one transpose.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgekit.targets.litert.draft import Draft, Tensor

__all__ = ["NHWC", "Value", "View", "arranged", "natural", "reshape", "reshaped", "settled", "viewed"]

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


@dataclass(frozen=True)
class View:
    """A tensor whose entries the program sees elsewhere: parts of axes in memory, and the program's axes made of them.

    Parts are numbered; axes of one entry have none.
    """

    tensor: Tensor
    sizes: tuple[int, ...]  # of each part
    memory: tuple[int, ...]  # the parts in the order in which they lie
    axes: tuple[tuple[int, ...], ...]  # the parts of each axis of the program
    coded: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """As the program sees it."""
        return tuple(math.prod(self.sizes[part] for part in axis) for axis in self.axes)

    def permuted(self, axes: Sequence[int]) -> View:
        return replace(self, axes=tuple(self.axes[axis] for axis in axes))

    def reshaped(self, shape: Sequence[int]) -> View | None:
        """In another shape; None where that cuts through parts at places that are no whole numbers of entries."""
        parts = [part for axis in self.axes for part in axis]
        ends = _ends([self.sizes[part] for part in parts]), _ends([size for size in shape if size != 1])
        cuts = sorted({1, *ends[0], *ends[1]})
        if any(high % low for low, high in itertools.pairwise(cuts)):
            return None
        sizes = [high // low for low, high in itertools.pairwise(cuts)]
        pieces = _between(ends[0], cuts)
        own = dict(zip(parts, pieces, strict=True))
        memory = tuple(piece for part in self.memory for piece in own[part])
        found = iter(_between(ends[1], cuts))
        axes = tuple(tuple(next(found)) if size != 1 else () for size in shape)
        return View(self.tensor, tuple(sizes), memory, axes, self.coded)


def _ends(sizes: Sequence[int]) -> list[int]:
    """Of how many entries the first one, two, three ... of these axes are."""
    return list(itertools.accumulate(sizes, operator.mul))


def _between(ends: Sequence[int], cuts: Sequence[int]) -> list[list[int]]:
    """For each stretch that ends so, the numbers of the pieces between the cuts that lie in it."""
    places = [0, *(cuts.index(end) for end in ends)]
    return [list(range(low, high)) for low, high in itertools.pairwise(places)]


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
    """A tensor in another shape, as it lies; of what was given another shape before, one operator makes both."""
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


def viewed(value: Value) -> View:
    """A value as a view, in which every axis is one part."""
    wide = [axis for axis, size in enumerate(value.shape) if size != 1]
    number = {axis: place for place, axis in enumerate(wide)}
    memory = tuple(number[axis] for axis in value.order if axis in number)
    axes = tuple((number[axis],) if axis in number else () for axis in natural(len(value.order)))
    return View(value.tensor, tuple(value.shape[axis] for axis in wide), memory, axes, value.coded)


def settled(draft: Draft, view: View) -> Value:
    """A view as a value: as it lies where the parts of each axis lie together, else moved by one transpose.

    What lies innermost stays there: then as much as possible moves together.
    """
    order = _lying(view)
    if order is None:
        rank = natural(len(view.axes))
        last = next(axis for axis in rank if view.memory[-1] in view.axes[axis])
        order = (*(axis for axis in rank if axis != last), last)
    wanted = [part for axis in order for part in view.axes[axis]]
    runs = _runs(view.memory, wanted)
    shape = [view.shape[axis] for axis in order]
    tensor = view.tensor
    if len(runs) > 1:
        sizes = [math.prod(view.sizes[part] for part in run) for run in runs]
        places = {run[0]: place for place, run in enumerate(runs)}
        moves = [places[part] for part in wanted if part in places]
        tensor = arranged(draft, Value(reshape(draft, tensor, sizes), natural(len(runs))), moves)
    return Value(reshape(draft, tensor, shape), order, view.coded)


def _lying(view: View) -> tuple[int, ...] | None:
    """The program's axes in the order in which they lie; None where the parts of one do not lie together."""
    first = {axis[0]: number for number, axis in enumerate(view.axes) if axis}
    order = [first[part] for part in view.memory if part in first]
    if [part for number in order for part in view.axes[number]] != list(view.memory):
        return None
    for number in reversed(range(len(view.axes))):  # axes of one entry go in front of the axis that follows them
        if not view.axes[number]:
            place = order.index(number + 1) if number + 1 in order else len(order)
            order.insert(place, number)
    return tuple(order)


def _runs(memory: Sequence[int], wanted: Sequence[int]) -> list[list[int]]:
    """The parts as they lie, those that also follow each other where they are wanted taken together."""
    after = dict(itertools.pairwise(wanted))
    runs: list[list[int]] = []
    for part in memory:
        if runs and after.get(runs[-1][-1]) == part:
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs


def reshaped(draft: Draft, value: Value, shape: Sequence[int]) -> Value:
    """The value in another shape, in the order that it lies in wherever that is possible."""
    view = viewed(value).reshaped(shape)
    if view is not None:
        return settled(draft, view)
    plain = arranged(draft, value, natural(len(value.order)))
    return Value(reshape(draft, plain, shape), natural(len(shape)), value.coded)
