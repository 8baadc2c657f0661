"""Writes at indices: at those that are known at export a join and one gather; where the image decides, comparisons.

Of the latter each entry is compared with every place, or counted along a mask.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, constant, emit, int_shape, shape, val
from edgekit.graph.spelling import Spelling, cast, constant_like, gather, spell

__all__ = ["spell_masked_scatters", "spell_puts", "spell_scattered_means", "spell_scatters"]

aten = torch.ops.aten
_MOST_PLACES = 1 << 20  # of a constant with eight bytes each
_MOST_COMPARISONS = 1 << 24
_EXACT = 1 << 24  # whole numbers that float32 holds
_STARTS = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "amax": float("-inf"), "amin": float("inf")}


def spell_scattered_means(graph_module: GraphModule) -> int:
    """Spell means of `scatter_reduce`, which ONNX takes for sums, as `spell_scatters` does, and `scatter` with the name
    of a reduction, which it overlooks, as `scatter_reduce`.
    """
    return spell(graph_module, _MEANS)


def spell_scatters(graph_module: GraphModule) -> int:
    """Spell `scatter_reduce` of few entries as a reduction over all of them, of each place those that go there."""
    return spell(graph_module, {aten.scatter_reduce.two: _reduced})


def spell_masked_scatters(graph_module: GraphModule) -> int:
    """Spell `masked_scatter`: where the mask holds, the entry whose number is how often it held so far."""
    return spell(graph_module, {aten.masked_scatter.default: _masked})


def _mean(node: Node) -> Node | None:
    return _reduced(node) if arg(node, "reduce") == "mean" else None


def _renamed(node: Node) -> Node:
    index = arg(node, "index")
    if node.target is aten.scatter.reduce:
        source = arg(node, "src")
    else:
        source = emit(node, aten.full_like.default, index, arg(node, "value"), dtype=val(node).dtype)
    kind = {"add": "sum", "multiply": "prod"}[arg(node, "reduce")]
    return emit(node, aten.scatter_reduce.two, arg(node, "self"), arg(node, "dim"), index, source, kind)


def _reduced(node: Node) -> Node | None:
    old, index, source = arg(node, "self"), arg(node, "index"), arg(node, "src")
    size, count, kind, include_self = shape(old), shape(index), arg(node, "reduce"), arg(node, "include_self")
    if not size or shape(source) != count or not val(node).is_floating_point():
        return None
    axis = arg(node, "dim") % len(size)
    across = [other for other in range(len(size)) if other != axis]
    if any(size[other] != count[other] for other in across):
        return None
    known = [length for length in (*count, size[axis]) if type(length) is int]
    if type(size[axis]) is not int or count[axis] == 0 or math.prod(known) > _MOST_COMPARISONS:
        return None
    rows = torch.arange(size[axis]).reshape(-1, *[1] * (len(size) - axis - 1))
    places = add_constant(node, rows, "places")
    here = emit(node, aten.eq.Tensor, emit(node, aten.unsqueeze.default, index, axis + 1), places)
    start = constant_like(node, _STARTS[kind], val(node).dtype, 1)
    taken = emit(node, aten.where.self, here, emit(node, aten.unsqueeze.default, source, axis + 1), start)
    made = _over(node, taken, kind, axis)
    often = emit(node, aten.sum.dim_IntList, cast(node, here, val(node).dtype), [axis])
    if include_self:
        made = emit(node, _JOINS[kind], made, old)
        return emit(node, aten.div.Tensor, made, emit(node, aten.add.Tensor, often, 1.0)) if kind == "mean" else made
    if kind == "mean":
        made = emit(node, aten.div.Tensor, made, emit(node, aten.clamp.default, often, 1.0))
    return emit(node, aten.where.self, emit(node, aten.gt.Scalar, often, 0), made, old)


def _over(node: Node, values: Node, kind: str, axis: int) -> Node:
    if kind == "prod":
        return emit(node, aten.prod.dim_int, values, axis)
    target = {"amax": aten.amax.default, "amin": aten.amin.default}.get(kind, aten.sum.dim_IntList)
    return emit(node, target, values, [axis])


def _masked(node: Node) -> Node | None:
    old, mask, source = arg(node, "self"), arg(node, "mask"), arg(node, "source")
    size = int_shape(node)
    if size is None or int_shape(source) is None or math.prod(size) > _EXACT:
        return None
    mask = emit(node, aten.expand.default, mask, size)
    held = emit(node, aten.cumsum.default, cast(node, emit(node, aten.reshape.default, mask, [-1]), torch.float32), 0)
    number = cast(node, emit(node, aten.clamp.default, emit(node, aten.sub.Tensor, held, 1.0), 0.0), torch.int64)
    entries = emit(node, aten.reshape.default, source, [-1])
    taken = emit(node, aten.reshape.default, emit(node, aten.index_select.default, entries, 0, number), size)
    return emit(node, aten.where.self, mask, taken, old)


_JOINS = {
    "sum": aten.add.Tensor,
    "mean": aten.add.Tensor,
    "prod": aten.mul.Tensor,
    "amax": aten.maximum.default,
    "amin": aten.minimum.default,
}
_MEANS: dict[Any, Spelling] = {
    aten.scatter_reduce.two: _mean,
    aten.scatter.reduce: _renamed,
    aten.scatter.value_reduce: _renamed,
}


def spell_puts(graph_module: GraphModule) -> int:
    """Spell writes at constant indices and of static shape.

    A write along one axis joins the old rows and the new ones there, any other joins the flattened tensors; which
    comes from where is told by the same write, done with numbers of places.
    """
    return spell(graph_module, _PUTS)


def _put(node: Node) -> Node | None:
    size = int_shape(node)
    given = arg(node, "indices")
    indices = [None if item is None else constant(item) for item in given]
    known = [place for place, item in enumerate(given) if item is not None]
    if size is None or any(indices[place] is None for place in known):
        return None
    adds = arg(node, "accumulate")
    index = indices[known[0]] if len(known) == 1 else None
    if index is not None and index.dim() == 1:
        index = index.nonzero()[:, 0] if index.dtype == torch.bool else index
        return (_added if adds else _along)(node, known[0], index, arg(node, "values"))
    if adds or math.prod(size) > _MOST_PLACES:
        return None
    whole = torch.arange(math.prod(size)).reshape(size)
    taken = whole[tuple(slice(None) if index is None else index for index in indices)]
    part = emit(node, aten.expand.default, arg(node, "values"), list(taken.shape))
    numbers = torch.arange(taken.numel()).reshape(taken.shape) + whole.numel()
    places = aten.index_put.default(whole, indices, numbers).flatten()
    flat = [emit(node, aten.reshape.default, source, [-1]) for source in (node.args[0], part)]
    return gather(node, emit(node, aten.cat.default, flat, 0), 0, places, size, "put_places")


def _copy(node: Node) -> Node | None:
    index = constant(arg(node, "index"))
    return None if index is None else _along(node, arg(node, "dim"), index, arg(node, "source"))


def _fill(node: Node) -> Node | None:
    index, value = constant(arg(node, "index")), arg(node, "value")
    if index is None:
        return None
    if not isinstance(value, Node):
        value = constant_like(node, value, val(node).dtype, 0)
    return _along(node, arg(node, "dim"), index, value)


def _add(node: Node) -> Node | None:
    index, alpha, part = constant(arg(node, "index")), arg(node, "alpha"), arg(node, "source")
    if index is None:
        return None
    return _added(node, arg(node, "dim"), index, part if alpha == 1 else emit(node, aten.mul.Tensor, part, alpha))


def _added(node: Node, axis: int, index: Tensor, part: Node) -> Node | None:
    """The old values and the new rows, each brought to its place by a product with a matrix of ones and zeros."""
    size = int_shape(node)
    if not size or not val(node).is_floating_point():
        return None
    axis, count = axis % len(size), index.numel()
    matrix = torch.zeros(count, size[axis], dtype=val(node).dtype)
    matrix[torch.arange(count), index.flatten().long() % size[axis]] = 1
    part = emit(node, aten.expand.default, part, [*size[:axis], count, *size[axis + 1 :]])
    last = emit(node, aten.transpose.int, part, axis, -1)
    placed = emit(node, aten.matmul.default, last, add_constant(node, matrix, "put_matrix"))
    return emit(node, aten.add.Tensor, arg(node, "self"), emit(node, aten.transpose.int, placed, axis, -1))


def _along(node: Node, axis: int, index: Tensor, part: Node) -> Node | None:
    size = int_shape(node)
    if not size:
        return None
    axis, count = axis % len(size), index.numel()
    index = index.flatten().long() % size[axis]
    part = emit(node, aten.expand.default, cast(node, part, val(node).dtype), [*size[:axis], count, *size[axis + 1 :]])
    places = torch.arange(size[axis]).index_copy(0, index, torch.arange(count) + size[axis])
    rows = emit(node, aten.cat.default, [arg(node, "self"), part], axis)
    return emit(node, aten.index_select.default, rows, axis, add_constant(node, places, "put_places"))


_PUTS: dict[Any, Spelling] = {
    aten.index_put.default: _put,
    aten._unsafe_index_put.default: _put,
    aten.index_add.default: _add,
    aten.index_copy.default: _copy,
    aten.index_fill.int_Scalar: _fill,
    aten.index_fill.int_Tensor: _fill,
}
