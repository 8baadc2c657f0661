"""Drop calls that give back what they were given, and expansions in front of operators that broadcast by themselves."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, args_of, calls, drop_dead, int_shape, is_call, replace, source_of, val
from edgekit.graph.normalize_views import RESHAPES
from edgekit.graph.plain_layout import READ_MEMORY

__all__ = ["drop_expands", "drop_identities"]

aten = torch.ops.aten
_ALWAYS = (
    aten.clone.default,
    aten.contiguous.default,
    aten.detach.default,
    aten.detach_.default,
    aten.alias.default,
    aten.lift_fresh_copy.default,
)
_IN_EVAL = (
    aten.dropout.default,
    aten.feature_dropout.default,
    aten.alpha_dropout.default,
    aten.feature_alpha_dropout.default,
)
_SAME_SHAPE = (*RESHAPES, aten.reshape.default, aten.expand.default, aten.slice.Tensor)
_CASTS = (aten.to.dtype, aten.to.dtype_layout, aten.to.device, aten._to_copy.default, aten.type_as.default)
_EXPANDS = (aten.expand.default, aten.expand_as.default, aten.broadcast_to.default)
_BROADCASTING = (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor)


def drop_identities(graph_module: GraphModule) -> int:
    """Remove dropout in eval mode, copies, casts to the same type, views and permutes that change nothing."""
    count = drop_dead(calls(graph_module, aten._assert_tensor_metadata.default))
    for node in calls(graph_module, *_ALWAYS, *_IN_EVAL, *_SAME_SHAPE, *_CASTS, aten.permute.default, aten.pad.default):
        source = args_of(node)[0]
        if node._erased or "val" not in getattr(source, "meta", {}):
            continue
        same = int_shape(node) is not None and int_shape(node) == int_shape(source)
        if (
            (is_call(node, *_ALWAYS) and not any(is_call(user, *READ_MEMORY) for user in node.users))
            or (is_call(node, *_IN_EVAL) and arg(node, "train") is False)
            or (is_call(node, *_SAME_SHAPE) and same)
            or (is_call(node, *_CASTS) and same and val(node).dtype == val(source).dtype)
            or (is_call(node, aten.pad.default) and not any(args_of(node)[1]))
            or (is_call(node, aten.permute.default) and _keeps_order(node))
        ):
            replace(node, source)
            count += 1
    return count


def _keeps_order(node: Node) -> bool:
    rank = val(node).dim()
    return [axis % rank for axis in args_of(node)[1]] == list(range(rank))


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
