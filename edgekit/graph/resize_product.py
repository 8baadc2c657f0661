"""Resampling of a small map as one product with a constant matrix: runtimes have fast products and slow resizes."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, emit, int_shape, operator_of, val
from edgekit.graph.spelling import spell

__all__ = ["resize_product", "resize_rows_columns"]

aten = torch.ops.aten
_BICUBIC = (aten.upsample_bicubic2d.vec, aten.upsample_bicubic2d.default)
_RESIZES = (aten.upsample_bilinear2d.vec, aten.upsample_bilinear2d.default, *_BICUBIC)
_MOST_WEIGHTS = 1 << 14  # 7x7 to 14x14 has 9,604; a larger product costs more than the resize it replaces


def resize_product(graph_module: GraphModule) -> int:
    """Replace bilinear and bicubic resizes of [N,C,h,w] by [N,C,h*w] @ [h*w,H*W], which is what they are.

    The matrix is the resize of the unit maps, so every mode and corner convention is right by construction.
    """
    return spell(graph_module, dict.fromkeys(_RESIZES, _one_product))


def _one_product(node: Node) -> Node | None:
    inner, outer = _sizes(node)
    if inner is None or outer is None:
        return None
    small, large = inner[2] * inner[3], outer[2] * outer[3]
    if small * large > _MOST_WEIGHTS:
        return None
    weights = _resized(node, torch.eye(small).reshape(small, 1, *inner[2:])).reshape(small, large)
    matrix = add_constant(node, weights, "resize_weights")
    flat = emit(node, aten.reshape.default, node.args[0], [*inner[:2], small])
    return emit(node, aten.reshape.default, emit(node, aten.matmul.default, flat, matrix), outer)


def _sizes(node: Node) -> tuple[list[int] | None, list[int] | None]:
    """[N,C,h,w] and [N,C,H,W] of a resize of floating point numbers by known factors; integers are rounded."""
    if node.all_input_nodes != [node.args[0]] or not val(node).is_floating_point():
        return None, None
    return int_shape(node.args[0]), int_shape(node)


def _resized(node: Node, units: torch.Tensor) -> torch.Tensor:
    """What the call makes of unit maps, in its type."""
    resized: torch.Tensor = operator_of(node)(units, *node.args[1:], **node.kwargs)
    return resized.to(val(node).dtype)


def resize_rows_columns(graph_module: GraphModule) -> int:
    """Replace bicubic resizes of [N,C,h,w] by [H,h] @ map @ [w,W], for targets that have no bicubic resize.

    Exact because bicubic weights are a product of one factor per axis, and each axis's weights add up to one.
    """
    return spell(graph_module, dict.fromkeys(_BICUBIC, _two_products))


def _two_products(node: Node) -> Node | None:
    inner, outer = _sizes(node)
    if inner is None or outer is None:
        return None
    height, width = inner[2:]
    rows = torch.eye(height).reshape(height, 1, height, 1).expand(-1, -1, -1, width)
    columns = torch.eye(width).reshape(width, 1, 1, width).expand(-1, -1, height, -1)
    down, across = _resized(node, rows)[:, 0, :, 0].T, _resized(node, columns)[:, 0, 0, :]
    wide = emit(node, aten.matmul.default, node.args[0], add_constant(node, across, "resize_columns"))
    return emit(node, aten.matmul.default, add_constant(node, down, "resize_rows"), wide)
