"""Convolutions and pools of volumes [N,C,D,H,W] as ones of images, for a runtime that has no others."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, constant, emit, int_shape, source_of, spread
from edgekit.graph.spelling import gather, spell

__all__ = ["spell_pools_of_volumes", "spell_volumes"]

aten = torch.ops.aten


def spell_volumes(graph_module: GraphModule) -> int:
    """Spell a convolution of volumes as one of images, the kernel's layers side by side in its channels."""
    return spell(graph_module, {aten.conv3d.default: _volume})


def spell_pools_of_volumes(graph_module: GraphModule) -> int:
    """Spell a pool of volumes as one over rows and columns and one over layers; both kinds of pool part so."""
    return spell(graph_module, {aten.avg_pool3d.default: _averages, aten.max_pool3d.default: _maxima})


def _volume(node: Node) -> Node | None:
    """out[d] is the sum over the kernel's layers k of conv2d(in[d * stride + k * dilation - padding], kernel[k])."""
    source, weight = source_of(node), constant(arg(node, "weight"))
    inner, size = int_shape(source), int_shape(node)
    if weight is None or inner is None or size is None or len(size) != 5:
        return None
    step, pad, gap = (spread(arg(node, name), 3) for name in ("stride", "padding", "dilation"))
    batch, channels, _, high, wide = inner
    outputs, _, layers = weight.shape[:3]
    depth = size[2]
    if pad[0]:
        source = emit(node, aten.pad.default, source, [0, 0, 0, 0, pad[0], pad[0]])
    places = torch.arange(depth)[:, None] * step[0] + torch.arange(layers) * gap[0]
    lengths = [batch, channels, depth, layers * high * wide]
    taken = gather(node, source, 2, places.flatten(), lengths, "layer_index")
    taken = emit(node, aten.permute.default, taken, [0, 2, 1, 3])
    taken = emit(node, aten.reshape.default, taken, [batch * depth, channels * layers, high, wide])
    flat = add_constant(node, weight.flatten(1, 2), "layers")
    given = (arg(node, "bias"), step[1:], pad[1:], gap[1:], arg(node, "groups"))
    maps = emit(node, aten.conv2d.default, taken, flat, *given)
    maps = emit(node, aten.reshape.default, maps, [batch, depth, outputs, size[3] * size[4]])
    return emit(node, aten.reshape.default, emit(node, aten.permute.default, maps, [0, 2, 1, 3]), size)


def _averages(node: Node) -> Node | None:
    divisor, ceil = arg(node, "divisor_override"), arg(node, "ceil_mode")
    if divisor is not None and ceil:
        return None
    counted = arg(node, "count_include_pad") or divisor is not None
    pooled = _in_two(node, aten.avg_pool2d.default, {"stride": 1, "padding": 0}, ceil, counted)
    if pooled is None or divisor is None:
        return pooled
    return emit(node, aten.mul.Tensor, pooled, math.prod(spread(arg(node, "kernel_size"), 3)) / divisor)


def _maxima(node: Node) -> Node | None:
    neutral = {"stride": 1, "padding": 0, "dilation": 1}
    return _in_two(node, aten.max_pool2d.default, neutral, arg(node, "ceil_mode"))


def _in_two(node: Node, target: Any, neutral: dict[str, int], *flags: bool) -> Node | None:
    """`target` over the last two axes, then over the one before them; `neutral` are the arguments of an idle axis."""
    inner, size = int_shape(node.args[0]), int_shape(node)
    if inner is None or size is None:
        return None
    kernel = spread(arg(node, "kernel_size"), 3)
    given = [spread(arg(node, name) or (kernel if name == "stride" else 0), 3) for name in neutral]
    channels, depth, high, wide = inner[-4:]
    maps = emit(node, aten.reshape.default, node.args[0], [-1, channels * depth, high, wide])
    maps = emit(node, target, maps, kernel[1:], *(values[1:] for values in given), *flags)
    maps = emit(node, aten.reshape.default, maps, [-1, channels, depth, size[-2] * size[-1]])
    along = [[values[0], idle] for values, idle in zip(given, neutral.values(), strict=True)]
    return emit(node, aten.reshape.default, emit(node, target, maps, [kernel[0], 1], *along, *flags), size)
