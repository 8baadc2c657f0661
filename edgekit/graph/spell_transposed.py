"""Transposed convolutions that give more than their kernel covers, which no runtime has."""

from __future__ import annotations

import math

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import arg, constant, emit, int_shape, shape, source_of, spread, val
from edgekit.graph.spelling import product_along, spell

__all__ = ["spell_made_kernels", "spell_output_padding", "spell_transposed"]

aten = torch.ops.aten
_TRANSPOSED = (aten.conv_transpose1d.default, aten.conv_transpose2d.input, aten.conv_transpose3d.input)


def spell_transposed(graph_module: GraphModule) -> int:
    """Spell a transposed convolution whose output padding is not below its stride as a whole one, cut or filled up.

    PyTorch allows that where the kernel is dilated; no runtime does.
    """
    return spell(graph_module, dict.fromkeys(_TRANSPOSED, lambda node: _whole(node, "stride", below=True)))


def spell_output_padding(graph_module: GraphModule) -> int:
    """Spell one whose output padding exceeds its padding, which coremltools 9.0 refuses or gets wrong."""
    return spell(graph_module, dict.fromkeys(_TRANSPOSED, lambda node: _whole(node, "padding", below=False)))


def spell_made_kernels(graph_module: GraphModule) -> int:
    """Spell one of images whose weight the image decides, which coremltools 9.0 refuses, as a convolution."""
    return spell(graph_module, {aten.conv_transpose2d.input: _convolution})


def _convolution(node: Node) -> Node | None:
    """The convolution with the turned kernel of the map whose entries lie a stride apart, zeros in between."""
    weight, groups = arg(node, "weight"), arg(node, "groups")
    inner, size, kernel = int_shape(node.args[0]), int_shape(node), int_shape(weight)
    if constant(weight) is not None or inner is None or size is None or kernel is None or len(size) != 4:
        return None
    steps, cut, dilation = (spread(arg(node, name), 2) for name in ("stride", "padding", "dilation"))
    spaced, holes = [], []  # coremltools knows no dilation of a kernel that is not constant
    for axis in (0, 1):
        reach, dtype = dilation[axis] * (kernel[axis + 2] - 1), val(node).dtype
        spaced.append(_spaced(inner[axis + 2], steps[axis], reach - cut[axis], size[axis + 2] + reach, dtype))
        holes.append(_spaced(kernel[axis + 2], dilation[axis], 0, reach + 1, dtype))
    apart = product_along(node, source_of(node), spaced)
    inputs, outputs = kernel[0] // groups, kernel[1]
    turned = emit(node, aten.flip.default, weight, [2, 3])
    if groups > 1:
        turned = emit(node, aten.reshape.default, turned, [groups, inputs, outputs, math.prod(kernel[2:])])
        turned = emit(node, aten.permute.default, turned, [0, 2, 1, 3])
        turned = emit(node, aten.reshape.default, turned, [groups * outputs, inputs, *kernel[2:]])
    else:
        turned = emit(node, aten.permute.default, turned, [1, 0, 2, 3])
    turned = product_along(node, turned, holes)
    return emit(node, aten.conv2d.default, apart, turned, arg(node, "bias"), [1, 1], [0, 0], [1, 1], groups)


def _spaced(count: int, step: int, start: int, length: int, dtype: torch.dtype) -> torch.Tensor:
    """The matrix that puts entry i at the place `start + step * i` of `length`, where there is one."""
    places = torch.arange(count) * step + start
    return (places[:, None] == torch.arange(length)).to(dtype)


def _whole(node: Node, limit: str, *, below: bool) -> Node | None:
    """The result as a part of what the kernel covers; None where every output padding keeps to the limit."""
    size = int_shape(node)
    if size is None or int_shape(node.args[0]) is None:
        return None
    count = len(size) - 2
    more, steps, cut = (spread(arg(node, name), count) for name in ("output_padding", "stride", "padding"))
    most = [bound - below for bound in spread(arg(node, limit), count)]
    if all(extra <= bound for extra, bound in zip(more, most, strict=True)):
        return None
    bias, none = arg(node, "bias"), [0] * count
    given = (arg(node, "weight"), None, steps, none, none, arg(node, "groups"), arg(node, "dilation"))
    whole = emit(node, node.target, node.args[0], *given)
    for axis, start in enumerate(cut, 2):
        lacks = start + size[axis] - shape(whole)[axis]
        if lacks > 0:  # more than what the kernel reaches: nothing but the bias
            pads = [0] * (2 * count)
            pads[2 * (len(size) - 1 - axis) + 1] = lacks
            whole = emit(node, aten.pad.default, whole, pads)
        whole = emit(node, aten.slice.Tensor, whole, axis, start, start + size[axis])
    if bias is None:
        return whole
    return emit(node, aten.add.Tensor, whole, emit(node, aten.reshape.default, bias, [1, -1, *[1] * count]))
