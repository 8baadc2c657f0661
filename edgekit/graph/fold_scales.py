"""Fold multiplications by constants (attention scale, LayerScale) and additions into the layer that feeds them."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import (
    add_constant,
    args_of,
    calls,
    constant,
    features_axis,
    int_shape,
    is_call,
    number,
    replace,
    set_weights,
    val,
    weights,
)

__all__ = ["fold_scales"]

aten = torch.ops.aten
_LAYERS = (aten.linear.default, aten.conv2d.default, aten.conv2d.padding)
_VIEWS = (aten.reshape.default, aten.permute.default, aten.slice.Tensor)


def fold_scales(graph_module: GraphModule) -> int:
    """Fold `x * c`, `x / c` and `x + c` into weight and bias of the linear or convolution behind `x`.

    `c` is a number (found through views and matrix products) or one value per output channel. A tensor that anything
    else reads stays as it is. The products are done in float64.
    """
    count = 0
    for node in calls(graph_module, aten.mul.Tensor, aten.div.Tensor, aten.add.Tensor):
        split = _operands(node)
        if split is None:
            continue
        source, factor = split
        adds = is_call(node, aten.add.Tensor)
        if factor.numel() == 1 and not adds:
            layer = _behind(source, node)
            factor = factor.reshape(1)
        else:
            layer = source if is_call(source, *_LAYERS) and len(source.users) == 1 else None
            channels = None if layer is None else _per_channel(layer, factor)
            layer, factor = (None, factor) if channels is None else (layer, channels)
        if layer is not None and _scale(layer, factor, adds):
            replace(node, source)
            count += 1
    return count


def _operands(node: Node) -> tuple[Node, torch.Tensor] | None:
    """(x, c) in float64, with the reciprocal for a division."""
    left, right = node.args[:2]
    if node.kwargs.get("alpha", 1) != 1:
        return None
    if isinstance(left, Node) and constant(left) is not None and not is_call(node, aten.div.Tensor):
        left, right = right, left
    if not isinstance(left, Node) or left.op != "call_function" or int_shape(left) is None:
        return None
    value = number(right)
    if value is None or not value.is_floating_point():
        return None
    if int_shape(node) != int_shape(left) or val(node).dtype != val(left).dtype:
        return None
    value = 1.0 / value.double() if is_call(node, aten.div.Tensor) else value.double()
    return (left, value) if value.isfinite().all() else None


def _behind(source: Any, reader: Node) -> Node | None:
    """The layer whose output reaches `reader` through views and the left side of products, read by nobody else."""
    while is_call(source, *_LAYERS, *_VIEWS, aten.bmm.default) and list(source.users) == [reader]:
        if is_call(source, *_LAYERS):
            return source
        if is_call(source, aten.bmm.default) and source.args[0] is source.args[1]:
            return None  # c would count twice
        source, reader = source.args[0], source
    return None


def _per_channel(layer: Node, factor: torch.Tensor) -> torch.Tensor | None:
    size, axis = int_shape(layer), features_axis(layer)
    if size is None or axis is None:
        return None
    channels, after = size[axis], len(size) - 1 - axis
    if factor.numel() != channels or factor.dim() <= after or factor.shape[-1 - after] != channels:
        return None
    return factor.reshape(channels)


def _scale(layer: Node, factor: torch.Tensor, adds: bool) -> bool:
    """Scale, or shift, the layer's results; False where its weights are not known."""
    known = weights(layer)
    if known is None:
        return False
    weight, bias = known
    weight_node = args_of(layer)[1]
    wide = weight.double()
    offset = None if bias is None else bias.double()
    if adds:
        offset = factor if offset is None else offset + factor
    else:
        wide = wide * factor.reshape(-1, *([1] * (weight.dim() - 1)))
        offset = None if offset is None else offset * factor
    hint = str(weight_node.target)
    new = weight_node if adds else add_constant(layer, wide.to(weight.dtype), f"{hint}_scaled")
    set_weights(layer, new, None if offset is None else add_constant(layer, offset.to(weight.dtype), f"{hint}_bias"))
    return True
