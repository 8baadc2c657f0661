"""Linear layers of rows in front of hardswish as convolutions of one pixel."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, emit, int_shape, shape, sole_user, source_of, val, weights
from edgekit.graph.spelling import spell

__all__ = ["convolve_linears"]

aten = torch.ops.aten


def convolve_linears(graph_module: GraphModule) -> int:
    """Spell `hardswish(linear(x))` of [N,K] as hardswish of a 1x1 convolution of [N,K,1,1].

    In half precision the Neural Engine gives other values for the first, and the right ones in four axes
    (https://github.com/apple/coreai-torch/issues/51).
    """
    return spell(graph_module, {aten.hardswish.default: _in_four_axes})


def _in_four_axes(node: Node) -> Node | None:
    layer = source_of(node)
    if layer.op != "call_function" or layer.target is not aten.linear.default or sole_user(layer) is not node:
        return None
    own, rows = weights(layer), int_shape(layer.args[0])
    if own is None or rows is None or len(rows) != 2 or own[0].dim() != 2 or not val(layer).is_floating_point():
        return None
    pixels = emit(node, aten.reshape.default, layer.args[0], [*rows, 1, 1], like=layer)
    kernel = add_constant(node, own[0].reshape(*own[0].shape, 1, 1), str(layer.args[1]))
    product = emit(node, aten.conv2d.default, pixels, kernel, arg(layer, "bias"), like=layer)
    return emit(node, aten.reshape.default, emit(node, aten.hardswish.default, product), shape(node))
