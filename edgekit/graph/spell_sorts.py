"""Medians as places of a sort, and sorts as the choice of all, for a runtime that chooses but does not sort."""

from __future__ import annotations

import math

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, calls, emit, getitem, int_shape, is_call, replace

__all__ = ["spell_medians", "spell_sorts"]

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
