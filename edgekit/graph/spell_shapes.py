"""Rolls, diagonals and repeated heads that a runtime lacks, as slices, gathers with constant indices and expands."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, emit, int_shape, shape, val
from edgekit.graph.spelling import Spelling, constant_like, spell

__all__ = ["spell_shapes"]

aten = torch.ops.aten


def spell_shapes(graph_module: GraphModule) -> int:
    """Spell a roll of the flattened tensor, diagonals of any two axes, and matrices made of a diagonal."""
    return spell(graph_module, _SHAPES)


def _roll(node: Node) -> Node | None:
    size = int_shape(node)
    if size is None or arg(node, "dims"):
        return None
    (shift,) = arg(node, "shifts")
    count = math.prod(size)
    flat = emit(node, aten.reshape.default, node.args[0], [count])
    cut = (count - shift) % count
    parts = [emit(node, aten.slice.Tensor, flat, 0, *ends) for ends in ((cut, count), (0, cut))]
    return emit(node, aten.reshape.default, emit(node, aten.cat.default, parts, 0), size)


def _diagonal(node: Node) -> Node | None:
    inner, size = int_shape(node.args[0]), int_shape(node)
    if inner is None or size is None:
        return None
    rank = len(inner)
    first, second = arg(node, "dim1") % rank, arg(node, "dim2") % rank
    kept = [axis for axis in range(rank) if axis not in (first, second)]
    turned = emit(node, aten.permute.default, node.args[0], [*kept, first, second])
    flat = emit(node, aten.reshape.default, turned, [*(inner[axis] for axis in kept), inner[first] * inner[second]])
    cells = torch.arange(inner[first] * inner[second]).reshape(inner[first], inner[second])
    index = add_constant(node, cells.diagonal(arg(node, "offset")), "diagonal_index")
    return emit(node, aten.index_select.default, flat, len(kept), index)


def _diagonal_matrix(node: Node) -> Node | None:
    rank = val(node).dim()
    length = shape(node.args[0])[-1]
    axes = [arg(node, name) % rank for name in ("dim1", "dim2")]
    if arg(node, "offset") or axes != [rank - 2, rank - 1] or type(length) is not int:
        return None
    here = add_constant(node, torch.eye(length, dtype=torch.bool), "diagonal")
    rows = emit(node, aten.unsqueeze.default, node.args[0], -1)
    return emit(node, aten.where.self, here, rows, constant_like(node, 0, val(node).dtype, rank))


_SHAPES: dict[Any, Spelling] = {
    aten.roll.default: _roll,
    aten.diagonal.default: _diagonal,
    aten.diagonal_copy.default: _diagonal,
    aten.diag_embed.default: _diagonal_matrix,
}
