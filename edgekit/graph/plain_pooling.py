"""Pooling in the one form that XNNPACK delegates, and without copies elsewhere."""

from __future__ import annotations

import math

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, emit, int_shape, pair, source_of, val
from edgekit.graph.spelling import spell

__all__ = ["plain_pooling"]

aten = torch.ops.aten


def plain_pooling(graph_module: GraphModule) -> int:
    """Spell global average pooling as `mean([2, 3], keepdim=True)`, and the mean over tokens as a product.

    A sum over the last axis of [B,C,H,W] is an average over rows, scaled.
    A mean of [B,N,C] over N is `bmm(ones / N, x)`: XNNPACK delegates a matrix product, and no rank-3 mean.
    """
    pools = (aten.adaptive_avg_pool2d.default, aten.avg_pool2d.default, aten.mean.dim, aten.sum.dim_IntList)
    return spell(graph_module, dict.fromkeys(pools, _pooled))


def _pooled(node: Node) -> Node | None:
    size, source = int_shape(node), source_of(node)
    inner = int_shape(source)
    if size is None or inner is None or 0 in inner:
        return None
    if val(node).dtype != val(source).dtype or not val(source).is_floating_point():
        return None
    if node.target is aten.sum.dim_IntList:
        return _row_sum(node, source, size, inner)
    new = _global_pool(node, source, size, inner)
    return _token_mean(node, source, size, inner) if new is None and node.target is aten.mean.dim else new


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


def _token_mean(node: Node, source: Node, size: list[int], inner: list[int]) -> Node | None:
    axes = arg(node, "dim")
    if axes is None or len(inner) not in (3, 4):
        return None
    axes = sorted(axis % len(inner) for axis in axes)
    if axes != list(range(1, len(inner) - 1)):
        return None
    tokens = math.prod(inner[1:-1])
    if len(inner) == 4:
        source = emit(node, aten.reshape.default, source, [inner[0], tokens, inner[-1]])
    weight = torch.full((inner[0], 1, tokens), 1.0 / tokens, dtype=val(node).dtype)
    pooled = emit(node, aten.bmm.default, add_constant(node, weight, "token_mean"), source)
    return emit(node, aten.reshape.default, pooled, size)
