"""What functionalisation leaves of a write into part of a tensor, in operators that every runtime has."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, args_of, emit, int_shape, is_call, operator_of, shape, val
from edgekit.graph.spelling import cast, gather, spell

__all__ = ["plain_writes"]

aten = torch.ops.aten
_FILLS = (aten.fill.Scalar, aten.fill.Tensor, aten.zero.default)
_SCATTERS = (
    aten.slice_scatter.default,
    aten.select_scatter.default,
    aten.diagonal_scatter.default,
    aten.as_strided_scatter.default,
)


def plain_writes(graph_module: GraphModule) -> int:
    """Spell `copy`, `fill` and the scatters of static shape as casts, constants, joins and one gather.

    A write of consecutive rows is a join of what lies before, the rows and what lies behind. Any other is a gather from
    the old values and the new ones; which comes from where is told by the same write, done with numbers of places.
    """
    return spell(graph_module, dict.fromkeys((aten.copy.default, *_FILLS, *_SCATTERS), _written))


def _written(node: Node) -> Node | None:
    size = int_shape(node)
    if size is None or int_shape(node.args[0]) is None:
        return None
    if is_call(node, *_SCATTERS):
        return _joined(node, size) or _gathered(node)
    if is_call(node, aten.copy.default):
        return _copy(node, args_of(node)[1], size)
    value = 0 if is_call(node, aten.zero.default) else arg(node, "value")
    if isinstance(value, Node):
        return _copy(node, value, size)
    return emit(node, aten.full.default, size, value, dtype=val(node).dtype)


def _copy(node: Node, source: Node, size: list[int]) -> Node | None:
    source = cast(node, source, val(node).dtype)
    return source if int_shape(source) == size else emit(node, aten.expand.default, source, size)


def _joined(node: Node, size: list[int]) -> Node | None:
    if not is_call(node, aten.slice_scatter.default, aten.select_scatter.default) or not _alike(node):
        return None
    whole, part = args_of(node)[:2]
    axis = arg(node, "dim") % len(size)
    if is_call(node, aten.select_scatter.default):
        start = arg(node, "index")
        if isinstance(start, Node):
            return None
        start %= size[axis]
        part = emit(node, aten.unsqueeze.default, part, axis)
    else:
        start = 0 if arg(node, "start") is None else arg(node, "start")
        if isinstance(start, Node) or arg(node, "step") != 1 or int_shape(part) is None:
            return None
        start = min(max(start + size[axis] if start < 0 else start, 0), size[axis])
    end = start + shape(part)[axis]
    parts: list[Any] = [part] if end > start else []
    if start > 0:
        parts.insert(0, emit(node, aten.slice.Tensor, whole, axis, 0, start))
    if end < size[axis]:
        parts.append(emit(node, aten.slice.Tensor, whole, axis, end, size[axis]))
    return parts[0] if len(parts) == 1 else emit(node, aten.cat.default, parts, axis)


def _gathered(node: Node) -> Node | None:
    whole, part = args_of(node)[:2]
    rest = torch.utils._pytree.tree_leaves((node.args[2:], node.kwargs))
    if int_shape(part) is None or not _alike(node) or any(isinstance(item, Node) for item in rest):
        return None
    size, new = shape(whole), shape(part)
    if is_call(node, aten.as_strided_scatter.default) and not val(whole).is_contiguous():
        return None
    old_places = torch.arange(math.prod(size)).reshape(size)
    new_places = torch.arange(math.prod(new)).reshape(new) + math.prod(size)
    places = operator_of(node)(old_places, new_places, *node.args[2:], **node.kwargs).flatten()
    flat = [emit(node, aten.reshape.default, source, [-1]) for source in (whole, part)]
    return gather(node, emit(node, aten.cat.default, flat), 0, places, size, "written_places")


def _alike(node: Node) -> bool:
    return val(node.args[0]).dtype == val(node.args[1]).dtype
