"""Fold multiplications by constants (attention scale, LayerScale) and additions into the layer that feeds them."""

# torch.fx types an argument as a union of sixteen kinds.
# mypy: disable-error-code="union-attr, arg-type, operator, index, attr-defined"

from __future__ import annotations

from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import (
    add_constant,
    arg,
    calls,
    constant,
    features_axis,
    int_shape,
    is_call,
    number,
    replace,
    val,
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
        source, factor = split[0], split[1]
        adds = is_call(node, aten.add.Tensor)
        if factor.numel() == 1 and not adds:
            layer = _behind(source, node)
            factor = factor.reshape(1)
        else:
            layer = source if is_call(source, *_LAYERS) and len(source.users) == 1 else None
            channels = _per_channel(layer, factor) if layer is not None else None
            layer, factor = (None, factor) if channels is None else (layer, channels)
        if layer is None or not _known(layer):
            continue
        _scale(graph_module, layer, factor, adds)
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
    if value is None or not value.is_floating_point() or int_shape(node) != int_shape(left):
        return None
    if val(node).dtype != val(left).dtype:
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


def _known(layer: Node) -> bool:
    bias = arg(layer, "bias")
    return constant(layer.args[1]) is not None and (bias is None or constant(bias) is not None)


def _scale(graph_module: GraphModule, layer: Node, factor: torch.Tensor, adds: bool) -> None:
    weight, bias = constant(layer.args[1]), constant(arg(layer, "bias"))
    assert weight is not None
    hint, rest = str(layer.args[1].target), layer.args[3:]
    wide = weight.double()
    offset = None if bias is None else bias.double()
    if adds:
        offset = factor if offset is None else offset + factor
    else:
        wide = wide * factor.reshape(-1, *([1] * (weight.dim() - 1)))
        offset = None if offset is None else offset * factor
    new = layer.args[1] if adds else add_constant(graph_module, wide.to(weight.dtype), f"{hint}_scaled")
    new_bias = None if offset is None else add_constant(graph_module, offset.to(weight.dtype), f"{hint}_bias")
    layer.args = (layer.args[0], new, new_bias, *rest)
    layer.kwargs = {name: value for name, value in layer.kwargs.items() if name not in ("weight", "bias")}
