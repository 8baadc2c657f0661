"""What goes along an axis in order: medians as places of a sort, sorts as the choice of all, running results in steps.

A running product, extreme or logarithm of sums takes about log2(length) steps over whole tensors.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, calls, emit, getitem, int_shape, is_call, replace, source_of, val
from edgekit.graph.spelling import cast, spell

__all__ = ["spell_medians", "spell_scans", "spell_sorts"]

aten = torch.ops.aten


def spell_medians(graph_module: GraphModule) -> int:
    """Spell `median` and `kthvalue` of fixed shape as a sort and one place of it (no NaN is looked for)."""
    count = 0
    for node in calls(graph_module, aten.median.dim, aten.kthvalue.default):
        size = int_shape(node.args[0])
        if not size:
            continue
        axis = arg(node, "dim") % len(size)
        place = (size[axis] - 1) // 2 if is_call(node, aten.median.dim) else arg(node, "k") - 1
        ordered = emit(node, aten.sort.default, node.args[0], axis)
        for user in list(node.users):
            replace(user, _taken(user, emit(user, getitem, ordered, user.args[1]), axis, place, arg(node, "keepdim")))
        count += 1
    for node in calls(graph_module, aten.median.default):
        size = int_shape(node.args[0])
        if size is not None:
            flat = emit(node, aten.reshape.default, node.args[0], [-1])
            ordered = emit(node, getitem, emit(node, aten.sort.default, flat), 0)
            replace(node, _taken(node, ordered, 0, (math.prod(size) - 1) // 2, False))
            count += 1
    return count


def spell_sorts(graph_module: GraphModule) -> int:
    """Spell `sort` as `topk` of the whole axis, but where someone asks for the places of equal values in order."""
    count = 0
    for node in calls(graph_module, aten.sort.default, aten.sort.stable):
        size = int_shape(node.args[0])
        ordered = is_call(node, aten.sort.stable) and arg(node, "stable")
        if not size or (ordered and any(user.args[1] == 1 for user in node.users)):
            continue
        axis = arg(node, "dim")
        node.args, node.kwargs = (node.args[0], size[axis], axis, arg(node, "descending"), True), {}
        node.target = aten.topk.default
        count += 1
    return count


def _taken(before: Node, source: Node, axis: int, place: int, keepdim: bool) -> Node:
    if keepdim:
        return emit(before, aten.slice.Tensor, source, axis, place, place + 1)
    return emit(before, aten.select.int, source, axis, place)


def spell_scans(graph_module: GraphModule) -> int:
    """Spell `cumprod`, `logcumsumexp`, `cummax` and `cummin` of fixed shape, the latter two where their places are not
    asked for: after the step of width w, each element stands for the 2w up to it. Returns how many.

    The axis of `cumsum` is counted from the front, which coremltools wants of all but the last.
    """
    count = spell(graph_module, {aten.cumsum.default: _axis_from_the_front})
    for node in calls(graph_module, *_STEPS):
        outputs = list(node.users) if isinstance(node.meta.get("val"), tuple) else [node]
        size = int_shape(node.args[0])
        if not size or any(user is not node and user.args[1] == 1 for user in outputs):
            continue
        values = cast(node, source_of(node), val(outputs[0]).dtype)
        new = _scan(node, values, arg(node, "dim") % len(size), size, _STEPS[node.target])
        for user in outputs:
            replace(user, new)
        count += 1
    return count


def _axis_from_the_front(node: Node) -> Node | None:
    axis, rank = arg(node, "dim"), val(node).dim()
    return emit(node, aten.cumsum.default, node.args[0], axis + rank) if axis < 0 and rank else None


def _scan(node: Node, values: Node, axis: int, size: list[int], step: Any) -> Node:
    width, length = 1, size[axis]
    while width < length:
        head = emit(node, aten.slice.Tensor, values, axis, 0, width)
        earlier = emit(node, aten.slice.Tensor, values, axis, 0, length - width)
        later = emit(node, aten.slice.Tensor, values, axis, width, length)
        values = emit(node, aten.cat.default, [head, emit(node, step, earlier, later)], axis)
        width *= 2
    return values


_STEPS: dict[Any, Any] = {
    aten.cumprod.default: aten.mul.Tensor,
    aten.logcumsumexp.default: aten.logaddexp.default,
    aten.cummax.default: aten.maximum.default,
    aten.cummin.default: aten.minimum.default,
}
