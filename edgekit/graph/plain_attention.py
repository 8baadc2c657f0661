"""Attention as matmul, softmax, matmul: what mobile runtimes have kernels for."""

from __future__ import annotations

import math

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, args_of, constant, emit, int_shape, val
from edgekit.graph.spelling import spell

__all__ = ["flat_softmax", "plain_attention"]

aten = torch.ops.aten


def plain_attention(graph_module: GraphModule) -> int:
    """Replace `scaled_dot_product_attention`, whose own decomposition guards every softmax with a mask.

    A token that a mask hides from every other gets zeros, as in PyTorch. Left alone: dropout, and causal masks or
    grouped queries over sizes that are not fixed.
    """
    return spell(graph_module, {aten.scaled_dot_product_attention.default: _attention})


def _attention(node: Node) -> Node | None:
    query, key, value = args_of(node)[:3]
    scale, width = arg(node, "scale"), val(query).shape[-1]
    if arg(node, "dropout_p") or isinstance(scale, Node) or width == 0:
        return None
    if arg(node, "enable_gqa"):
        key, value = (_grouped(node, source, val(query).shape[-3]) for source in (key, value))
    masked = _mask(node)
    if key is None or value is None or masked is None:
        return None
    mask, kept = masked
    scaled = emit(node, aten.mul.Tensor, query, 1.0 / math.sqrt(width) if scale is None else scale)
    scores = emit(node, aten.matmul.default, scaled, emit(node, aten.transpose.int, key, -2, -1))
    if mask is not None:
        scores = emit(node, aten.add.Tensor, scores, mask)
    new = emit(node, aten.matmul.default, emit(node, aten.softmax.int, scores, -1), value)
    return new if kept is None else emit(node, aten.mul.Tensor, new, kept)


def _grouped(node: Node, source: Node, heads: int) -> Node | None:
    """Keys or values [...,h,S,E], each head repeated for the queries of its group."""
    size = int_shape(source)
    if size is None or size[-3] == heads:
        return None if size is None else source
    repeats = heads // size[-3]
    apart = emit(node, aten.unsqueeze.default, source, -3)
    wide = emit(node, aten.expand.default, apart, [*size[:-2], repeats, *size[-2:]])
    return emit(node, aten.reshape.default, wide, [*size[:-3], heads, *size[-2:]])


def _mask(node: Node) -> tuple[Node | None, Node | None] | None:
    """(what is added to the scores, what the result is multiplied by), each None where there is nothing to do."""
    mask, dtype = arg(node, "attn_mask"), val(node).dtype
    known = constant(mask)
    if arg(node, "is_causal"):
        rows, columns = val(node.args[0]).shape[-2], val(node.args[1]).shape[-2]
        if mask is not None or type(rows) is not int or type(columns) is not int:
            return None
        known = torch.ones(rows, columns, dtype=torch.bool).tril()
    elif mask is None:
        return None, None
    elif known is None:
        return _mask_at_run_time(node, mask, dtype)
    if known.dtype == torch.bool:
        known = torch.zeros(known.shape, dtype=dtype).masked_fill(~known, -math.inf)
    hidden = (known == -math.inf).all(dim=-1, keepdim=True)
    if not hidden.any():
        is_bias = mask is not None and val(mask).dtype == dtype
        return mask if is_bias else add_constant(node, known, "attention_mask"), None
    bias = add_constant(node, known.masked_fill(hidden, 0.0), "attention_mask")
    return bias, add_constant(node, (~hidden).to(dtype), "attention_kept")


def _mask_at_run_time(node: Node, mask: Node, dtype: torch.dtype) -> tuple[Node, Node]:
    zero = add_constant(node, torch.zeros(1, dtype=dtype), "attention_zero")
    if val(mask).dtype == torch.bool:
        lowest = add_constant(node, torch.full((1,), -math.inf, dtype=dtype), "attention_lowest")
        mask = emit(node, aten.where.self, mask, zero, lowest)
    seen = emit(node, aten.gt.Scalar, emit(node, aten.amax.default, mask, [-1], True), -math.inf)
    return emit(node, aten.where.self, seen, mask, zero), emit(node, aten.to.dtype, seen, dtype)


def flat_softmax(graph_module: GraphModule) -> int:
    """Give `softmax` over the last axis a 3-D input.

    A 4-D one that ExecuTorch has tagged channels-last is normalised over the wrong axis: its layout pass keeps the tag
    through the softmax, and XNNPACK's softmax runs over the last axis in memory.
    """
    return spell(graph_module, dict.fromkeys((aten.softmax.int, aten._softmax.default), _flat))


def _flat(node: Node) -> Node | None:
    size = int_shape(node)
    if size is None or len(size) != 4 or arg(node, "dim") % 4 != 3 or val(node).dtype != val(node.args[0]).dtype:
        return None
    flat = emit(node, aten.reshape.default, node.args[0], [size[0] * size[1], *size[2:]])
    return emit(node, aten.reshape.default, emit(node, aten.softmax.int, flat, -1), size)
