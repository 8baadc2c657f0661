"""Tensors of more axes than a runtime takes: the same computation on fewer, those that stay side by side as one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import (
    add_constant,
    arg,
    args_of,
    constant,
    emit,
    int_shape,
    kwargs_of,
    operator_of,
    replace,
    shape,
    source_of,
)
from edgekit.graph.spelling import gather

__all__ = ["spell_axes"]

aten = torch.ops.aten


def spell_axes(graph_module: GraphModule, most: int) -> int:
    """Spell operators on tensors of more than `most` axes on fewer. Changes of shape around them merge later.

    Taken are permutes, elementwise operators with their broadcasting, reductions, softmax, slices, concatenations,
    expansions, gathers of known places, matrix products and linear layers; what treats more than `most` groups of axes
    apart is left alone. `most` is at least 4.
    """
    count = 0
    for node in list(graph_module.graph.nodes):
        pointwise = torch.Tag.pointwise in getattr(node.target, "tags", ())
        row = _ROWS.get(node.target, _elementwise if pointwise else None)
        if row is None:
            continue
        shapes = [int_shape(item) for item in (node, *node.all_input_nodes)]
        if None in shapes or max(len(size or ()) for size in shapes) <= most:
            continue
        new = row(node, most)
        if new is not None:
            replace(node, new)
            count += 1
    return count


def _permute(node: Node, most: int) -> Node | None:
    inner, size = _sizes(node.args[0]), _sizes(node)
    kept: list[int] = [axis for axis, length in enumerate(inner) if length != 1]
    order = [kept.index(axis % len(inner)) for axis in args_of(node)[1] if inner[axis] != 1]
    runs = _joined(order, lambda last, place: last == place - 1)
    if len(runs) > most:
        return _moved(node, [inner[axis] for axis in kept], order)
    first = sorted(range(len(runs)), key=runs.__getitem__)
    lengths = [math.prod(inner[kept[place]] for place in runs[index]) for index in first]
    merged = _reshaped(node, source_of(node), lengths)
    turned = emit(node, aten.permute.default, merged, [first.index(index) for index in range(len(runs))])
    return _reshaped(node, turned, size)


def _moved(node: Node, lengths: Sequence[int], order: Sequence[int]) -> Node:
    """A permute as several, each of which moves one run of axes forward over others: four groups of axes at most."""
    now, value = list(range(len(order))), source_of(node)
    for place, axis in enumerate(order):
        start = now.index(axis)
        if start == place:
            continue
        end = start + 1
        while end < len(now) and now[end] == order[place + end - start]:
            end += 1
        groups = [now[:place], now[place:start], now[start:end], now[end:]]
        flat = _reshaped(node, value, [math.prod(lengths[item] for item in group) for group in groups])
        value = emit(node, aten.permute.default, flat, [0, 2, 1, 3])
        now = [*groups[0], *groups[2], *groups[1], *groups[3]]
    return _reshaped(node, value, _sizes(node))


def _elementwise(node: Node, most: int) -> Node | None:
    """Axes merge where every operand either has both of them whole or is broadcast along both."""
    size = _sizes(node)
    operands = node.all_input_nodes
    wide = {item: [1] * (len(size) - len(_sizes(item))) + _sizes(item) for item in operands}
    if not operands or any(len(sizes) != len(size) for sizes in wide.values()):
        return None
    whole = [[wide[item][axis] == length for item in operands] for axis, length in enumerate(size)]
    kept = [axis for axis, length in enumerate(size) if length != 1]
    runs = _joined(kept, lambda last, axis: whole[last] == whole[axis])
    if not runs or len(runs) > most:
        return None
    slim = {item: _merged(node, item, lengths, runs) for item, lengths in wide.items()}
    args, kwargs = torch.fx.node.map_arg((args_of(node), kwargs_of(node)), lambda item: slim[item])
    return _reshaped(node, emit(node, node.target, *args, **kwargs), size)


def _along(node: Node, most: int) -> Node | None:
    """An operator that treats the axes of its argument `dim` apart from all others, in its first input."""
    first, given = args_of(node)[0], arg(node, "dim")
    joins, many = isinstance(first, (list, tuple)), isinstance(given, (list, tuple))
    tensors = list(first) if joins else [first]
    if set(tensors) != set(node.all_input_nodes):
        return None
    sizes = [_sizes(item) for item in tensors]
    rank = len(sizes[0])
    apart = sorted({axis % rank for axis in given} if many else set() if given is None else {given % rank})
    if not apart or any(len(lengths) != rank for lengths in sizes):
        return None
    runs = _runs(rank, apart, keep_each=not many)
    if len(runs) > most:
        return None
    slim = [_merged(node, item, lengths, runs) for item, lengths in zip(tensors, sizes, strict=True)]
    places = [place for place, run in enumerate(runs) if run[0] in apart]
    entries = operator_of(node)._schema.arguments
    values = {entry.name: arg(node, entry.name) for entry in entries}
    values |= {entries[0].name: slim if joins else slim[0], "dim": places if many else places[0]}
    positional = [values[entry.name] for entry in entries if not entry.kwarg_only]
    keywords = {entry.name: values[entry.name] for entry in entries if entry.kwarg_only}
    return _reshaped(node, emit(node, node.target, *positional, **keywords), _sizes(node))


def _runs(rank: int, apart: Sequence[int], *, keep_each: bool) -> list[list[int]]:
    """Neighbouring axes together: those of `apart`, each by itself where `keep_each`, and those of the rest."""
    return _joined(
        range(rank), lambda last, axis: (axis in apart) == (last in apart) and not (keep_each and axis in apart)
    )


def _joined(axes: Iterable[int], together: Callable[[int, int], bool]) -> list[list[int]]:
    """Runs of axes, each of which belongs together with the one before it."""
    runs: list[list[int]] = []
    for axis in axes:
        if runs and together(runs[-1][-1], axis):
            runs[-1].append(axis)
        else:
            runs.append([axis])
    return runs


def _expand(node: Node, most: int) -> Node | None:
    size = _sizes(node)
    inner = [1] * (len(size) - len(_sizes(node.args[0]))) + _sizes(node.args[0])
    grown = [axis for axis, length in enumerate(size) if inner[axis] != length]
    runs = _runs(len(size), grown, keep_each=False)
    if len(runs) > most:
        return None
    slim = _merged(node, source_of(node), inner, runs)
    wide = emit(node, aten.expand.default, slim, [math.prod(size[axis] for axis in run) for run in runs])
    return _reshaped(node, wide, size)


def _matmul(node: Node, _most: int) -> Node | None:
    """A product of matrices whose axes before the last two are the same on both sides."""
    left, right = (_sizes(item) for item in node.args)
    if left[:-2] != right[:-2]:
        return None
    slim = [
        _reshaped(node, item, [math.prod(size[:-2]), *size[-2:]])
        for item, size in zip(args_of(node), (left, right), strict=True)
    ]
    return _reshaped(node, emit(node, aten.matmul.default, *slim), _sizes(node))


def _index(node: Node, _most: int) -> Node | None:
    """Known places along neighbouring axes as one gather along these axes together."""
    inner, given = _sizes(node.args[0]), arg(node, "indices")
    axes = [axis for axis, item in enumerate(given) if item is not None]
    known = [constant(given[axis]) for axis in axes]
    if axes != list(range(axes[0], axes[-1] + 1)) or any(index is None for index in known):
        return None
    lengths = inner[axes[0] : axes[-1] + 1]
    places = torch.arange(math.prod(lengths)).reshape(lengths)[tuple(known)].flatten()
    flat = _reshaped(node, source_of(node), [*inner[: axes[0]], math.prod(lengths), *inner[axes[-1] + 1 :]])
    return gather(node, flat, axes[0], places, _sizes(node), "known_places")


def _linear(node: Node, most: int) -> Node | None:
    size, inner = _sizes(node), _sizes(node.args[0])
    flat = _reshaped(node, source_of(node), [math.prod(inner[:-1]), inner[-1]])
    return _reshaped(node, emit(node, node.target, flat, *node.args[1:], **kwargs_of(node)), size)


def _sizes(value: Any) -> list[int]:
    """The shape of a tensor that is known to be of static shape."""
    return [int(size) for size in shape(value)]


def _merged(before: Node, value: Node, lengths: Sequence[int], runs: Sequence[Sequence[int]]) -> Node:
    """A tensor of these lengths with the axes of each run as one."""
    return _reshaped(before, value, [math.prod(lengths[axis] for axis in run) for run in runs])


def _reshaped(before: Node, value: Node, size: Sequence[int]) -> Node:
    tensor = constant(value)
    if tensor is not None:  # one of too many axes is as bad as a result with them
        return add_constant(before, tensor.reshape(list(size)), str(value.target))
    return emit(before, aten.reshape.default, value, list(size))


# By operator: what it is on fewer axes, or None where that cannot be; elementwise operators are known by their tag.
_ROWS: dict[Any, Callable[[Node, int], Node | None]] = {
    aten.permute.default: _permute,
    aten.linear.default: _linear,
    aten.matmul.default: _matmul,
    aten.expand.default: _expand,
    aten.index.Tensor: _index,
    **dict.fromkeys((aten.amax.default, aten.amin.default, aten.sum.dim_IntList, aten.mean.dim), _along),
    **dict.fromkeys((aten.softmax.int, aten._softmax.default, aten.slice.Tensor, aten.cat.default), _along),
}
