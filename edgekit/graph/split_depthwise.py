"""Large depthwise convolutions as a sum of smaller ones."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, calls, constant, emit, int_shape, pair, replace

__all__ = ["split_depthwise"]

aten = torch.ops.aten
_FAST_TAPS = 25  # XNNPACK's largest depthwise micro-kernel; beyond it falls back to an indirect GEMM per channel


def split_depthwise(graph_module: GraphModule) -> int:
    """Split a depthwise kernel of more than 25 taps by rows, each piece a dilated kernel over the same input.

    A 7x7 kernel with padding 3 has the row offsets -3..3. {-3, 0, 3} is a 3-row kernel with dilation 3 and padding 3,
    {-2, 2} and {-1, 1} are 2-row kernels with dilation 4 and 2: symmetric, so that each piece reads the unsplit input
    with ordinary padding, and no slice, pad or copy is needed. Any odd kernel of 7 to 11 with "same" padding splits.
    """
    count = 0
    for node in calls(graph_module, aten.conv2d.default, aten.conv2d.padding):
        weight, bias_node = constant(node.args[1]), arg(node, "bias")
        if weight is None or weight.shape[1] != 1 or weight.shape[0] != arg(node, "groups"):
            continue
        rows, columns = weight.shape[2:]
        groups = _row_groups(rows, columns)
        if groups is None or not _is_same(node, rows, columns) or int_shape(node) is None:
            continue
        half, stride, total = rows // 2, arg(node, "stride"), None
        for offsets in groups:
            part = add_constant(graph_module, weight[:, :, [half + offset for offset in offsets]], "depthwise_part")
            step = offsets[1] - offsets[0] if len(offsets) > 1 else 1
            padding, bias = [-offsets[0], columns // 2], bias_node if total is None else None
            piece = emit(
                node, aten.conv2d.default, node.args[0], part, bias, stride, padding, [step, 1], weight.shape[0]
            )
            total = piece if total is None else emit(node, aten.add.Tensor, total, piece)
        assert total is not None
        replace(node, total)
        count += 1
    return count


def _row_groups(rows: int, columns: int) -> list[list[int]] | None:
    """Symmetric, evenly spaced sets of row offsets that cover all rows, each within the taps of a fast kernel."""
    if rows * columns <= _FAST_TAPS or rows % 2 == 0 or columns % 2 == 0 or columns * 2 > _FAST_TAPS or rows < 3:
        return None
    half = rows // 2
    if columns * 3 <= _FAST_TAPS:
        return [[-half, 0, half], *([-offset, offset] for offset in range(half - 1, 0, -1))]
    return [[0], *([-offset, offset] for offset in range(half, 0, -1))]


def _is_same(node: Node, rows: int, columns: int) -> bool:
    padding = arg(node, "padding")
    if pair(arg(node, "dilation")) != (1, 1):
        return False
    if isinstance(padding, str):
        return padding == "same"
    return pair(padding) == (rows // 2, columns // 2)
