"""Large depthwise convolutions as a sum of smaller ones."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, constant, emit, int_shape, pair
from edgekit.graph.spelling import spell

__all__ = ["split_depthwise"]

aten = torch.ops.aten
_FAST_TAPS = 25  # XNNPACK's largest depthwise micro-kernel; beyond it falls back to an indirect GEMM per channel


def split_depthwise(graph_module: GraphModule) -> int:
    """Split a depthwise kernel of more than 25 taps by rows, each piece a dilated kernel over the same input.

    A 7x7 kernel with padding 3 has the row offsets -3..3. {-3, 0, 3} is a 3-row kernel with dilation 3 and padding 3,
    {-2, 2} and {-1, 1} are 2-row kernels with dilation 4 and 2: symmetric, so that each piece reads the unsplit input
    with ordinary padding, and no slice, pad or copy is needed. Any odd kernel of 7 to 11 with "same" padding splits.
    """
    return spell(graph_module, dict.fromkeys((aten.conv2d.default, aten.conv2d.padding), _by_rows))


def _by_rows(node: Node) -> Node | None:
    weight, bias = constant(node.args[1]), arg(node, "bias")
    if weight is None or weight.shape[1] != 1 or weight.shape[0] != arg(node, "groups"):
        return None
    rows, columns = weight.shape[2:]
    groups = _row_groups(rows, columns)
    if groups is None or not _is_same(node, rows, columns) or int_shape(node) is None:
        return None
    total = None
    for offsets in groups:
        part = add_constant(node, weight[:, :, [rows // 2 + offset for offset in offsets]], "depthwise_part")
        step = offsets[1] - offsets[0] if len(offsets) > 1 else 1
        rest = arg(node, "stride"), [-offsets[0], columns // 2], [step, 1], weight.shape[0]
        piece = emit(node, aten.conv2d.default, node.args[0], part, bias if total is None else None, *rest)
        total = piece if total is None else emit(node, aten.add.Tensor, total, piece)
    return total


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
    same = padding == "same" if isinstance(padding, str) else pair(padding) == (rows // 2, columns // 2)
    return same and pair(arg(node, "dilation")) == (1, 1)
