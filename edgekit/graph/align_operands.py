"""Elementwise calls whose operands have one rank, the larger first."""

from __future__ import annotations

import math

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, args_of, argument_names, calls, constant, emit, int_shape, operator_of

__all__ = ["align_operands", "computed_sizes"]

aten = torch.ops.aten
_SYMMETRIC = (aten.add.Tensor, aten.mul.Tensor, aten.maximum.default, aten.minimum.default)
ELEMENTWISE = (*_SYMMETRIC, aten.sub.Tensor, aten.div.Tensor)


def align_operands(graph_module: GraphModule) -> int:
    """Give two computed operands of a sum, difference, product, quotient or extreme one rank; the larger goes first.

    LiteRT's GPU delegates take a missing axis for the first instead of the last, and a smaller first operand for the
    shape of the result (https://github.com/google-ai-edge/LiteRT/issues/8980, .../issues/141).
    """
    count = 0
    for node in calls(graph_module, *ELEMENTWISE):
        sizes = computed_sizes(node)
        if sizes is None or any(constant(operand) is not None for operand in node.args[:2]):
            continue
        count += _align(node, *sizes)
    return count


def computed_sizes(node: Node) -> tuple[list[int], list[int]] | None:
    """The sizes of both operands where they are tensors of fixed sizes with axes, otherwise None."""
    first, second = (int_shape(operand) for operand in args_of(node)[:2])
    return (first, second) if first and second else None


def _align(node: Node, first: list[int], second: list[int]) -> int:
    rank, changed, operands = max(len(first), len(second)), False, list(node.args[:2])
    for place, size in enumerate((first, second)):
        if len(size) < rank:
            operands[place] = emit(node, aten.reshape.default, operands[place], [1] * (rank - len(size)) + size)
            changed = True
    symmetric = operator_of(node) in _SYMMETRIC and ("alpha" not in argument_names(node) or arg(node, "alpha") == 1)
    if symmetric and math.prod(first) < math.prod(second):
        operands.reverse()
        changed = True
    node.args = (*operands, *node.args[2:])
    return int(changed)
