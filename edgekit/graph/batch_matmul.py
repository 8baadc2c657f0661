"""Batched matrix products as 3-D `bmm`, and products with a constant as linears."""

from __future__ import annotations

import math

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, args_of, constant, emit, int_shape
from edgekit.graph.spelling import spell

__all__ = ["batch_matmul"]

aten = torch.ops.aten


def batch_matmul(graph_module: GraphModule) -> int:
    """Spell `matmul` of equal static batch axes as `bmm`, without the expand and copy of its own decomposition.

    `x @ W` with a constant 2-D `W` becomes `linear(x, W.T)`.
    """
    return spell(graph_module, {aten.matmul.default: _product})


def _product(node: Node) -> Node | None:
    left, right = args_of(node)
    weight = constant(right)
    if weight is not None and weight.dim() == 2 and weight.is_floating_point():
        return emit(node, aten.linear.default, left, add_constant(node, weight.t(), f"{right.target}_t"))
    first, second, size = int_shape(left), int_shape(right), int_shape(node)
    if first is None or second is None or size is None or len(first) < 3 or first[:-2] != second[:-2]:
        return None
    flat = [
        emit(node, aten.reshape.default, side, [math.prod(lengths[:-2]), *lengths[-2:]])
        for side, lengths in ((left, first), (right, second))
    ]
    return emit(node, aten.reshape.default, emit(node, aten.bmm.default, *flat), size)
