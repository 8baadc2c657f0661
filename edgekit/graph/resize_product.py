"""Resampling of a small map as one product with a constant matrix: runtimes have fast products and slow resizes."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, calls, emit, int_shape, operator_of, replace, val

__all__ = ["resize_product", "resize_rows_columns"]

aten = torch.ops.aten
_RESIZES = (
    aten.upsample_bilinear2d.vec,
    aten.upsample_bilinear2d.default,
    aten.upsample_bicubic2d.vec,
    aten.upsample_bicubic2d.default,
)
_MOST_WEIGHTS = 1 << 14  # 7x7 to 14x14 has 9,604; a larger product costs more than the resize it replaces


def resize_product(graph_module: GraphModule) -> int:
    """Replace bilinear and bicubic resizes of [N,C,h,w] by [N,C,h*w] @ [h*w,H*W], which is what they are.

    The matrix is the resize of the unit maps, so every mode and corner convention is right by construction.
    """
    count = 0
    for node in calls(graph_module, *_RESIZES):
        inner, outer = _sizes(node)
        if inner is None or outer is None:
            continue
        small, large = inner[2] * inner[3], outer[2] * outer[3]
        if small * large > _MOST_WEIGHTS:
            continue
        units = torch.eye(small).reshape(small, 1, inner[2], inner[3])
        weights = operator_of(node)(units, *node.args[1:], **node.kwargs).reshape(small, large)
        matrix = add_constant(graph_module, weights.to(val(node).dtype), "resize_weights")
        flat = emit(node, aten.reshape.default, node.args[0], [*inner[:2], small])
        product = emit(node, aten.matmul.default, flat, matrix)
        replace(node, emit(node, aten.reshape.default, product, outer))
        count += 1
    return count


def _sizes(node: Node) -> tuple[list[int] | None, list[int] | None]:
    """[N,C,h,w] and [N,C,H,W] of a resize of floating point numbers by known factors; integers are rounded."""
    leaves = torch.utils._pytree.tree_leaves((node.args[1:], node.kwargs))
    if any(isinstance(leaf, Node) for leaf in leaves) or not val(node).is_floating_point():
        return None, None
    return int_shape(node.args[0]), int_shape(node)


def resize_rows_columns(graph_module: GraphModule) -> int:
    """Replace bicubic resizes of [N,C,h,w] by [H,h] @ map @ [w,W], for targets that have no bicubic resize.

    Exact because bicubic weights are a product of one factor per axis, and each axis's weights add up to one.
    """
    count = 0
    for node in calls(graph_module, aten.upsample_bicubic2d.vec, aten.upsample_bicubic2d.default):
        inner, outer = _sizes(node)
        if inner is None or outer is None:
            continue
        height, width = inner[2:]
        rows = torch.eye(height).reshape(height, 1, height, 1).expand(-1, -1, -1, width)
        columns = torch.eye(width).reshape(width, 1, 1, width).expand(-1, -1, height, -1)
        down = operator_of(node)(rows, *node.args[1:], **node.kwargs)[:, 0, :, 0].T.to(val(node).dtype)
        across = operator_of(node)(columns, *node.args[1:], **node.kwargs)[:, 0, 0, :].to(val(node).dtype)
        wide = emit(node, aten.matmul.default, node.args[0], add_constant(graph_module, across, "resize_columns"))
        replace(node, emit(node, aten.matmul.default, add_constant(graph_module, down, "resize_rows"), wide))
        count += 1
    return count
