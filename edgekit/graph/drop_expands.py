"""Let elementwise operators broadcast by themselves instead of copying their operand first."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import calls, drop_dead, int_shape, is_call, source_of, val

__all__ = ["drop_expands"]

aten = torch.ops.aten
_EXPANDS = (aten.expand.default, aten.expand_as.default, aten.broadcast_to.default)
_BROADCASTING = (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor)


def drop_expands(graph_module: GraphModule) -> int:
    """Feed elementwise arithmetic the operand from before its `expand` where the result keeps its shape."""
    count = 0
    for node in calls(graph_module, *_EXPANDS):
        source = source_of(node)
        for user in list(node.users):
            if not is_call(user, *_BROADCASTING) or int_shape(user) is None or int_shape(source) is None:
                continue
            others = [other for other in user.all_input_nodes if other is not node]
            if len(others) == 1 and int_shape(others[0]) == int_shape(user) and _same_types(source, others[0]):
                user.replace_input_with(node, source)
                count += 1
        drop_dead([node])
    return count


def _same_types(first: Node, second: Node) -> bool:
    """A tensor without axes has no say in the type of a result; its expansion has."""
    return val(first).dtype == val(second).dtype
