"""Attention as matmul, softmax, matmul: what mobile runtimes have kernels for."""

# torch.fx types an argument as a union of sixteen kinds.
# mypy: disable-error-code="union-attr, arg-type, operator, index, attr-defined"

from __future__ import annotations

import math

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, calls, constant, emit, int_shape, replace, val

__all__ = ["flat_softmax", "plain_attention"]

aten = torch.ops.aten


def plain_attention(graph_module: GraphModule) -> int:
    """Replace `scaled_dot_product_attention`, whose own decomposition guards every softmax with a mask.

    Left alone: causal masks, dropout, grouped queries, masks that are not constant or hide a whole row.
    """
    count = 0
    for node in calls(graph_module, aten.scaled_dot_product_attention.default):
        query, key, value = node.args[:3]
        mask = arg(node, "attn_mask")
        if arg(node, "is_causal") or arg(node, "dropout_p") or arg(node, "enable_gqa"):
            continue
        if mask is not None and val(mask).dtype == torch.bool:
            mask = _additive(graph_module, mask, val(query).dtype)
            if mask is None:
                continue
        scale = arg(node, "scale")
        scale = 1.0 / math.sqrt(val(query).shape[-1]) if scale is None else scale
        scaled = emit(node, aten.mul.Tensor, query, scale)
        scores = emit(node, aten.matmul.default, scaled, emit(node, aten.transpose.int, key, -2, -1))
        if mask is not None:
            scores = emit(node, aten.add.Tensor, scores, mask)
        weights = emit(node, aten.softmax.int, scores, -1)
        replace(node, emit(node, aten.matmul.default, weights, value))
        count += 1
    return count


def _additive(graph_module: GraphModule, mask: Node, dtype: torch.dtype) -> Node | None:
    known = constant(mask)
    if known is None or not known.any(dim=-1).all():
        return None
    bias = torch.zeros(known.shape, dtype=dtype).masked_fill(~known, -math.inf)
    return add_constant(graph_module, bias, "attention_mask")


def flat_softmax(graph_module: GraphModule) -> int:
    """Give `softmax` over the last axis a 3-D input.

    A 4-D one that ExecuTorch has tagged channels-last is normalised over the wrong axis: its layout pass keeps the tag
    through the softmax, and XNNPACK's softmax runs over the last axis in memory.
    """
    count = 0
    for node in calls(graph_module, aten.softmax.int, aten._softmax.default):
        size = int_shape(node)
        if size is None or len(size) != 4 or arg(node, "dim") % 4 != 3:
            continue
        flat = emit(node, aten.reshape.default, node.args[0], [size[0] * size[1], *size[2:]])
        result = emit(node, aten.softmax.int, flat, -1)
        replace(node, emit(node, aten.reshape.default, result, size))
        count += 1
    return count
