"""Drop calls that give back what they were given."""

from __future__ import annotations

import torch
from torch.fx import GraphModule

from edgekit.graph.edit import arg, args_of, calls, drop_dead, int_shape, is_call, replace, val
from edgekit.graph.plain_layout import READ_MEMORY

__all__ = ["drop_identities"]

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
_SAME_SHAPE = (
    aten.view.default,
    aten.reshape.default,
    aten.expand.default,
    aten.flatten.using_ints,
    aten.unflatten.int,
    aten.squeeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.slice.Tensor,
    aten._unsafe_view.default,
)
_CASTS = (aten.to.dtype, aten.to.dtype_layout, aten.to.device, aten._to_copy.default, aten.type_as.default)
_ASSERTS = (aten._assert_tensor_metadata.default,)


def drop_identities(graph_module: GraphModule) -> int:
    """Remove dropout in eval mode, copies, casts to the same type, views and permutes that change nothing."""
    count = drop_dead(list(calls(graph_module, *_ASSERTS)))
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


def _keeps_order(node: torch.fx.Node) -> bool:
    rank = val(node).dim()
    return [axis % rank for axis in args_of(node)[1]] == list(range(rank))
