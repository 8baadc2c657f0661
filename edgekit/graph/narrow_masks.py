"""Attention masks of numbers that half precision does not have, spelled with one that it has."""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, constant, to_graph, to_program

__all__ = ["HIDDEN", "narrow_masks"]

aten = torch.ops.aten

HIDDEN = -32752.0  # half of the lowest, so that adding a score does not overflow; exp of it is zero beside any score
_LOWEST = -65504.0
_MASKING = frozenset({
    aten.mul.Tensor, aten.mul.Scalar, aten.add.Tensor, aten.add.Scalar, aten.masked_fill.Scalar,
    aten.masked_fill.Tensor, aten.where.self, aten.where.ScalarOther, aten.where.ScalarSelf, aten.where.Scalar,
})  # fmt: skip
_PASSING = frozenset({
    aten.add.Tensor, aten.where.self, aten.masked_fill.Scalar, aten.masked_fill.Tensor, aten.reshape.default,
    aten.view.default, aten.permute.default, aten.transpose.int, aten.unsqueeze.default, aten.squeeze.dim,
    aten.squeeze.dims, aten.expand.default, aten.flatten.using_ints, aten.slice.Tensor, aten.select.int,
})  # fmt: skip
_SOFTMAX = (aten.softmax.int, aten._softmax.default)


def narrow_masks(program: ExportedProgram) -> tuple[ExportedProgram, int]:
    """A copy of `program` with numbers below half precision's lowest as -32752 where they only reach softmaxes.

    That keeps what softmax means while its other scores differ by less than 32,000: the caller compares. Minus infinity
    stays, half precision has it. Returns the copy and how many calls and constants were changed.
    """
    graph_module = to_graph(program)
    count = sum(_narrow(graph_module, node) for node in list(graph_module.graph.nodes))
    return (to_program(graph_module, program), count) if count else (program, 0)


def _narrow(graph_module: GraphModule, node: Node) -> bool:
    if node.op == "get_attr":
        values = constant(node)
        if values is None or not values.is_floating_point() or not _is_low(values).any():
            return False
        if not node.users or not all(_masks(user) for user in node.users):
            return False
        narrowed = torch.where(_is_low(values), torch.full_like(values, HIDDEN), values)
        node.replace_all_uses_with(add_constant(graph_module, narrowed, "narrow_mask"))
        return True
    if node.op != "call_function" or node.target not in _MASKING or not _masks(node):
        return False
    args = tuple(HIDDEN if _is_low_number(item) else item for item in node.args)
    changed = args != node.args
    node.args = args
    return changed


def _masks(node: Node) -> bool:
    """Whether what this call makes of a mask's number goes to nothing but softmaxes."""
    if node.target not in _MASKING | _PASSING:
        return False
    seen, queue = {node}, [node]
    while queue:
        for user in queue.pop().users:
            if user in seen or user.target in _SOFTMAX:
                continue
            if user.target not in _PASSING:
                return False
            seen.add(user)
            queue.append(user)
    return True


def _is_low(values: torch.Tensor) -> torch.Tensor:
    return values.isfinite() & (values < _LOWEST)


def _is_low_number(item: Any) -> bool:
    return isinstance(item, float) and -float("inf") < item < _LOWEST
