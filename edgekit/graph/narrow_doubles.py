"""Steps that a model takes in float64, in float32: no phone's runtime has all operators in float64."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.utils._pytree import tree_leaves, tree_map

from edgekit.graph.edit import add_constant, constant, emit, imagine, is_call

__all__ = ["narrow_doubles"]

aten = torch.ops.aten


def narrow_doubles(graph_module: GraphModule) -> int:
    """Compute in float32 what depends on the image and is float64; what does not is a constant by now, and exact."""
    everything = list(graph_module.graph.nodes)
    nodes = [node for node in everything if node.op == "call_function" and _is(node, torch.float64)]
    given = [node for node in everything if node.op == "placeholder"]
    if any(_is(node, torch.complex128) for node in everything) or any(_is(node, torch.float64) for node in given):
        return 0
    if any(is_call(node, aten.view.dtype) for node in nodes):
        return 0
    ends = [node for node in everything if node.op == "output"]
    known: dict[Node, Node] = {}
    for node in nodes:
        for source in node.all_input_nodes:
            value = constant(source)
            if value is not None and value.dtype is torch.float64 and source not in known:
                known[source] = add_constant(graph_module, value.float(), "narrow")
        node.args, node.kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda item: known.get(item, item))
        node.args, node.kwargs = tree_map(_narrow, (node.args, node.kwargs))
        node.meta["val"] = imagine(node.graph, node.target, node.args, node.kwargs)
    for node in nodes:
        if any(user in ends for user in node.users):
            wide = emit(ends[0], aten.to.dtype, node, torch.float64)
            node.replace_all_uses_with(wide, delete_user_cb=lambda user: user in ends)
    return len(nodes)


def _narrow(item: Any) -> Any:
    return torch.float32 if item is torch.float64 else item


def _is(node: Node, dtype: torch.dtype) -> bool:
    values = tree_leaves(node.meta.get("val"))
    return any(isinstance(value, torch.Tensor) and value.dtype is dtype for value in values)
