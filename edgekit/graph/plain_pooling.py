"""Pooling in the one form that XNNPACK delegates, and without copies elsewhere."""

from __future__ import annotations

import math

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, calls, emit, int_shape, pair, replace, source_of, val

__all__ = ["plain_pooling"]

aten = torch.ops.aten


def plain_pooling(graph_module: GraphModule) -> int:
    """Spell global average pooling as `mean([2, 3], keepdim=True)`, and the mean over tokens as a product.

    A sum over the last axis of [B,C,H,W] is an average over rows, scaled.
    A mean of [B,N,C] over N is `bmm(ones / N, x)`: XNNPACK delegates a matrix product, and no rank-3 mean.
    """
    count = 0
    for node in calls(
        graph_module, aten.adaptive_avg_pool2d.default, aten.avg_pool2d.default, aten.mean.dim, aten.sum.dim_IntList
    ):
        size, source = int_shape(node), source_of(node)
        inner = int_shape(source)
        if size is None or inner is None or 0 in inner or not _keeps_type(node, source):
            continue
        if node.target is aten.sum.dim_IntList:
            new = _row_sum(node, source, size, inner)
        else:
            new = _global_pool(node, source, size, inner)
        if new is None and node.target is aten.mean.dim:
            new = _token_mean(graph_module, node, source, size, inner)
        if new is not None:
            replace(node, new)
            count += 1
    return count


def _keeps_type(node: Node, source: Node) -> bool:
    return val(node).dtype == val(source).dtype and val(source).is_floating_point()


def _global_pool(node: Node, source: Node, size: list[int], inner: list[int]) -> Node | None:
    if len(inner) != 4:
        return None
    if node.target is aten.mean.dim:
        axes = arg(node, "dim")
        if axes is None or sorted(axis % 4 for axis in axes) != [2, 3] or arg(node, "keepdim"):
            return None
    elif size[2:] != [1, 1] or (node.target is aten.avg_pool2d.default and not _pools_all(node, inner)):
        return None
    pooled = emit(node, aten.mean.dim, source, [2, 3], True)
    return pooled if len(size) == 4 else emit(node, aten.reshape.default, pooled, size)


def _pools_all(node: Node, inner: list[int]) -> bool:
    if arg(node, "divisor_override") is not None:
        return False
    return pair(arg(node, "kernel_size")) == (inner[2], inner[3]) and not any(pair(arg(node, "padding")))


def _row_sum(node: Node, source: Node, size: list[int], inner: list[int]) -> Node | None:
    if len(inner) != 4 or size != [*inner[:3], 1]:
        return None
    pooled = emit(node, aten.avg_pool2d.default, source, [1, inner[3]], [1, inner[3]])
    return emit(node, aten.mul.Tensor, pooled, float(inner[3]))


def _token_mean(graph_module: GraphModule, node: Node, source: Node, size: list[int], inner: list[int]) -> Node | None:
    axes = arg(node, "dim")
    if axes is None or len(inner) not in (3, 4):
        return None
    axes = sorted(axis % len(inner) for axis in axes)
    if axes != list(range(1, len(inner) - 1)):
        return None
    tokens = math.prod(inner[1:-1])
    if len(inner) == 4:
        source = emit(node, aten.reshape.default, source, [inner[0], tokens, inner[-1]])
    weight = torch.full((inner[0], 1, tokens), 1.0 / tokens, dtype=node.meta["val"].dtype)
    pooled = emit(node, aten.bmm.default, add_constant(graph_module, weight, "token_mean"), source)
    return emit(node, aten.reshape.default, pooled, size)
