"""Writes at indices that are known at export (`index_put`, `index_copy`, `index_add`), as a join and one gather."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, constant, emit, int_shape, val
from edgekit.graph.spelling import Spelling, cast, constant_like, gather, spell

__all__ = ["spell_puts"]

aten = torch.ops.aten
_MOST_PLACES = 1 << 20  # of a constant with eight bytes each


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
