"""Batched matrix products as 3-D `bmm`, and products with a constant as linears."""

from __future__ import annotations

import math

import torch
from torch.fx import GraphModule

from edgekit.graph.edit import add_constant, args_of, calls, constant, emit, int_shape, replace

__all__ = ["batch_matmul"]

aten = torch.ops.aten


def batch_matmul(graph_module: GraphModule) -> int:
    """Spell `matmul` of equal static batch axes as `bmm`, without the expand and copy of its own decomposition.

    `x @ W` with a constant 2-D `W` becomes `linear(x, W.T)`.
    """
    count = 0
    for node in calls(graph_module, aten.matmul.default):
        left, right = args_of(node)
        weight = constant(right)
        if weight is not None and weight.dim() == 2 and weight.is_floating_point():
            turned = add_constant(graph_module, weight.t(), f"{right.target}_t")
            replace(node, emit(node, aten.linear.default, left, turned))
            count += 1
            continue
        first, second, size = int_shape(left), int_shape(right), int_shape(node)
        if first is None or second is None or size is None or len(first) != len(second) or len(first) < 3:
            continue
        if first[:-2] != second[:-2]:
            continue
        batch = math.prod(first[:-2])
        a = emit(node, aten.reshape.default, left, [batch, *first[-2:]])
        b = emit(node, aten.reshape.default, right, [batch, *second[-2:]])
        replace(node, emit(node, aten.reshape.default, emit(node, aten.bmm.default, a, b), size))
        count += 1
    return count
