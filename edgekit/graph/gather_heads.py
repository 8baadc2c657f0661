"""Queries, keys and values of one projection as slices of its heads, on four axes."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, args_of, calls, emit, int_shape, is_call, replace

__all__ = ["gather_heads"]

aten = torch.ops.aten
_ORDER = [2, 0, 3, 1, 4]  # of a projection's [B,N,3,H,D], so that queries, keys and values lie apart


def gather_heads(graph_module: GraphModule) -> int:
    """Write `reshape(slice(permute(reshape(x, [B,N,3,H,D]), [2,0,3,1,4])))`, which is timm's way to part a projection,
    as slices of the heads of one [B,3H,N,D]: three views fewer, and none of five axes.
    """
    count = 0
    for node in list(calls(graph_module, aten.permute.default)):
        parts = _parts(node)
        if parts is None:
            continue
        batch, tokens, kinds, heads, width = parts
        source = args_of(args_of(node)[0])[0]
        wide = emit(node, aten.reshape.default, source, [batch, tokens, kinds * heads, width])
        turned = emit(node, aten.permute.default, wide, [0, 2, 1, 3])
        for slice_ in list(node.users):
            first = (arg(slice_, "start") or 0) * heads
            for view in list(slice_.users):
                replace(view, emit(view, aten.slice.Tensor, turned, 1, first, first + heads))
        count += 1
    return count


def _parts(node: Node) -> list[int] | None:
    """[B,N,3,H,D] of a permute of this kind, all of whose users are slices that are read as [B,H,N,D]."""
    source = args_of(node)[0]
    size = int_shape(source)
    if size is None or len(size) != len(_ORDER) or [axis % 5 for axis in args_of(node)[1]] != _ORDER:
        return None
    if not is_call(source, aten.reshape.default):
        return None
    batch, tokens, _, heads, width = size
    for user in node.users:
        first = arg(user, "start") if is_call(user, aten.slice.Tensor) else None
        if not isinstance(first, (int, type(None))) or not _is_one(user) or (first or 0) < 0:
            return None
        if not all(
            is_call(view, aten.reshape.default) and int_shape(view) == [batch, heads, tokens, width]
            for view in user.users
        ):
            return None
    return size


def _is_one(user: Node) -> bool:
    """Whether this is a slice of one along the first axis."""
    size = int_shape(user)
    return is_call(user, aten.slice.Tensor) and size is not None and arg(user, "dim") == 0 and size[0] == 1
