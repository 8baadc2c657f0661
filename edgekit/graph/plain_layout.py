"""Views that do not depend on how a tensor lies in memory, so that rewrites may drop copies and turn axes about.

And splits by the name that runtimes know.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, calls, emit, imagine, is_call, memory_of, source_of, val

__all__ = ["READ_MEMORY", "plain_layout", "plain_names"]

aten = torch.ops.aten
# What these give, or whether they work at all, depends on strides: the copy in front of one of them stays.
READ_MEMORY = (aten.as_strided.default, aten.view_as_complex.default, aten.view.dtype)
_NAMES: dict[Any, Any] = {
    aten.unsafe_split.Tensor: aten.split.Tensor,
    aten.unsafe_split_with_sizes.default: aten.split_with_sizes.default,
    aten.unsafe_chunk.default: aten.chunk.default,
}
_VIEWS: dict[Any, Any] = {
    aten.view.default: aten.reshape.default,
    aten._unsafe_view.default: aten.reshape.default,
    aten.view_as.default: aten.reshape_as.default,
}


def plain_names(graph_module: GraphModule) -> int:
    """Call splits that copy by the name of those that do not, of the same arguments. Returns how many there were."""
    return _renamed(graph_module, _NAMES)


def _renamed(graph_module: GraphModule, names: dict[Any, Any]) -> int:
    nodes = list(calls(graph_module, *names))
    for node in nodes:
        node.target = names[node.target]
    return len(nodes)


def plain_layout(graph_module: GraphModule) -> None:
    """Spell `view` as `reshape`, which takes any strides, and let operators that read memory read a contiguous copy.

    `as_strided` speaks of the memory behind its operand: it reads the whole tensor that the operand is a view of. Where
    that is not one dense block it is left alone.
    """
    _renamed(graph_module, _VIEWS)
    for node in calls(graph_module, *READ_MEMORY):
        source: Node | None = source_of(node)
        if is_call(node, aten.as_strided.default):
            source, offset = _whole(source_of(node)), arg(node, "storage_offset")
            if source is None:
                continue
            start = val(node.args[0]).storage_offset() if offset is None else offset
            node.args, node.kwargs = (node.args[0], arg(node, "size"), arg(node, "stride"), start), {}
        if not is_call(source, aten.contiguous.default):
            source = emit(node, aten.contiguous.default, source)
        node.args = (source, *node.args[1:])


def _whole(node: Node) -> Node | None:
    """The tensor that `node` is a view of, laid out as its memory is; None where that is not known."""
    while True:
        above = node.args[0] if node.op == "call_function" and node.args else None
        if not isinstance(above, Node) or not isinstance(above.meta.get("val"), torch.Tensor):
            break
        if memory_of(val(above)) != memory_of(imagine(node.graph, node.target, node.args, node.kwargs)):
            break
        node = above
    tensor = val(node)
    order = sorted(range(tensor.dim()), key=lambda axis: (-tensor.stride()[axis], -tensor.shape[axis]))
    if tensor.storage_offset() != 0 or not tensor.permute(order).is_contiguous():
        return None
    reader = next(iter(node.users))
    return node if tensor.is_contiguous() else emit(reader, aten.permute.default, node, order)
