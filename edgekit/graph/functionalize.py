"""In-place calls as ordinary ones, so that every rewrite may move calls about."""

# torch.fx types an argument as a union of sixteen kinds.
# mypy: disable-error-code="union-attr, arg-type, operator, index, attr-defined"

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node

from edgekit.graph.edit import is_call

__all__ = ["functionalize", "has_hazards"]

aten = torch.ops.aten
_VIEWS = (
    aten.view.default,
    aten.reshape.default,
    aten.permute.default,
    aten.transpose.int,
    aten.slice.Tensor,
    aten.select.int,
    aten.flatten.using_ints,
    aten.unsqueeze.default,
    aten.squeeze.dim,
    aten.expand.default,
    aten.chunk.default,
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.unbind.int,
    aten.detach.default,
    aten.alias.default,
    aten.narrow.default,
    aten.contiguous.default,
    aten.dropout.default,
)


def functionalize(graph_module: GraphModule) -> int:
    """Turn each in-place call whose operand nobody else reads or views into the ordinary call. Returns how many."""
    count = 0
    for node in graph_module.graph.nodes:
        if _twin(node) is not None and not _hazard(node):
            node.target = _twin(node)
            count += 1
    return count


def has_hazards(program: ExportedProgram) -> bool:
    """Whether an in-place call changes a tensor that others may see: such a program needs `run_decompositions({})`."""
    return any(_hazard(node) for node in program.graph.nodes)


def _twin(node: Node) -> Any:
    if node.op != "call_function" or not hasattr(node.target, "_schema") or not node.target._schema.is_mutable:
        return None
    name = node.target._schema.name.removeprefix("aten::")
    packet = getattr(aten, name.removesuffix("_"), None) if name.endswith("_") and not name.endswith("__") else None
    return getattr(packet, node.target._overloadname, None)


def _hazard(node: Node) -> bool:
    """A mutation that is not the last word on a fresh tensor: others may see the change."""
    if node.op != "call_function" or not hasattr(node.target, "_schema") or not node.target._schema.is_mutable:
        return False
    target = node.args[0]
    fresh = isinstance(target, Node) and target.op == "call_function" and not is_call(target, *_VIEWS)
    return not (fresh and _twin(node) is not None and list(target.users) == [node])
