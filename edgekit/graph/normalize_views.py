"""One spelling for every change of shape: `reshape` to fixed sizes, `permute`, `slice`; and chains of them merged."""

from __future__ import annotations

import itertools

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, args_of, calls, emit, getitem, int_shape, is_call, operator_of, replace, shape, val

__all__ = ["RESHAPES", "merge_views", "normalize_views"]

aten = torch.ops.aten
RESHAPES = (
    aten.view.default,
    aten._unsafe_view.default,
    aten.flatten.using_ints,
    aten.unflatten.int,
    aten.squeeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.unsqueeze.default,
    aten.view_as.default,
)
_TRANSPOSES = (
    aten.transpose.int,
    aten.t.default,
    aten.mT.default,
    aten.numpy_T.default,
    aten.movedim.int,
    aten.movedim.intlist,
    aten.swapaxes.default,
)
_SPLITS = (
    aten.unbind.int,
    aten.chunk.default,
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.split.sizes,
    aten.tensor_split.sections,
)


def normalize_views(graph_module: GraphModule) -> int:
    """Spell views, squeezes, selects, unbinds and chunks of static shape as reshape, permute and slice."""
    count = 0
    for node in calls(graph_module, *RESHAPES, *_TRANSPOSES, aten.select.int, aten.reshape.default):
        size = int_shape(node)
        if size is None or int_shape(node.args[0]) is None or (not size and is_call(node, *_TRANSPOSES)):
            continue
        if is_call(node, *RESHAPES):
            replace(node, emit(node, aten.reshape.default, node.args[0], size))
        elif is_call(node, aten.reshape.default):
            node.args = (node.args[0], size)
            continue
        elif is_call(node, *_TRANSPOSES):
            replace(node, emit(node, aten.permute.default, node.args[0], _order(node)))
        else:
            _, axis, index = args_of(node)
            if isinstance(index, Node):
                continue
            length, rank = shape(node.args[0])[axis], val(node.args[0]).dim()
            index %= length
            part = emit(node, aten.slice.Tensor, node.args[0], axis % rank, index, index + 1)
            replace(node, emit(node, aten.reshape.default, part, size))
        count += 1
    for node in calls(graph_module, *_SPLITS):
        count += _split(node)
    return count


def merge_views(graph_module: GraphModule) -> int:
    """Merge reshape after reshape and permute after permute; drop unit axes before a permute instead of after it."""
    count, changed = 0, True
    while changed:
        changed = False
        for node in calls(graph_module, aten.reshape.default, aten.permute.default):
            source = node.args[0]
            if not isinstance(source, Node) or int_shape(node) is None or int_shape(source) is None:
                continue
            if is_call(node, aten.reshape.default):
                new = _merge_reshape(node, source)
            elif is_call(source, aten.permute.default) and len(source.users) == 1:
                rank = val(node).dim()
                order = [args_of(source)[1][axis % rank] % rank for axis in args_of(node)[1]]
                new = emit(node, aten.permute.default, source.args[0], order)
            elif _moves_units_only(node):
                new = emit(node, aten.reshape.default, source, int_shape(node))
            else:
                new = None
            if new is not None:
                replace(node, new)
                count, changed = count + 1, True
    return count


def _merge_reshape(node: Node, source: Node) -> Node | None:
    size = int_shape(node)
    if size == int_shape(source):
        return source
    if is_call(source, aten.reshape.default):
        return emit(node, aten.reshape.default, source.args[0], size)
    if is_call(source, aten.permute.default) and len(source.users) == 1:
        inner, order = shape(source.args[0]), [axis % val(source).dim() for axis in args_of(source)[1]]
        kept = [axis for axis in order if inner[axis] != 1]
        if [inner[axis] for axis in kept] == size and len(kept) < len(order):
            slim = emit(node, aten.reshape.default, source.args[0], [length for length in inner if length != 1])
            rank = {axis: position for position, axis in enumerate(sorted(kept))}
            return emit(node, aten.permute.default, slim, [rank[axis] for axis in kept])
    return None


def _moves_units_only(node: Node) -> bool:
    inner = shape(node.args[0])
    order = [axis % len(inner) for axis in args_of(node)[1]]
    kept = [axis for axis in order if inner[axis] != 1]
    return kept == sorted(kept)


def _order(node: Node) -> list[int]:
    numbered = torch.empty(list(range(val(node).dim())), device="meta")  # each axis is as long as its number
    return list(operator_of(node)(numbered, *node.args[1:], **node.kwargs).shape)


def _split(node: Node) -> int:
    source = node.args[0]
    if int_shape(source) is None or not all(is_call(user, getitem) for user in node.users) or not node.users:
        return 0
    axis = arg(node, "dim") % val(source).dim()
    parts = val(node)
    squeezed = is_call(node, aten.unbind.int)
    starts = [0, *itertools.accumulate(1 if squeezed else int(part.shape[axis]) for part in parts)]
    for user in sorted(node.users):
        index = args_of(user)[1] % len(parts)
        piece = emit(user, aten.slice.Tensor, source, axis, starts[index], starts[index + 1])
        if squeezed:
            piece = emit(user, aten.reshape.default, piece, int_shape(user))
        user.replace_all_uses_with(piece)
        user.graph.erase_node(user)
    node.graph.erase_node(node)
    return 1
