"""Fold the input normalisation into the first layer, exactly, zero-padded borders included."""

from __future__ import annotations

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, emit, is_call, number, replace, sole_user, val, weights, zero_padding

__all__ = ["fold_normalization"]

aten = torch.ops.aten
_CASTS = (aten.to.dtype, aten.to.dtype_layout, aten._to_copy.default)
_LAYERS = (aten.conv2d.default, aten.conv2d.padding)


def fold_normalization(graph_module: GraphModule) -> int:
    """Fold a leading `image * a + b` chain (per channel) into the first convolution.

    The scale always goes into the weight. The shift goes into the bias where the convolution does not pad; where it
    pads with zeros of the NORMALISED image, one subtraction of the mean stays in front of it, because only then the
    border is `(mean - mean) * scale = 0`. Zeros that an operator of its own puts around the normalised image become the
    mean around the image where all channels have the same; then whole pixels reach the convolution. Any other first
    layer: nothing changes.
    """
    image = next(node for node in graph_module.graph.nodes if node.op == "placeholder")
    while is_call(sole_user(image), aten.permute.default, *_CASTS):
        image = sole_user(image)
    if val(image).dim() != 4 or not val(image).is_floating_point():
        return 0
    channels = int(val(image).shape[1])
    node, length, border = image, 0, None
    scale, shift = torch.ones(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.float64)
    while True:
        user = sole_user(node)
        if user is None:
            return 0
        if is_call(user, *_LAYERS):
            break
        if border is None and length and zero_padding(user) is not None:
            border = node = user
            continue
        step = _affine(user, node, channels)
        if step is None or border is not None or val(user).dtype != val(image).dtype:
            return 0
        scale, shift, node, length = scale * step[0], shift * step[0] + step[1], user, length + 1
    known = weights(user)
    if length == 0 or known is None or arg(user, "groups") != 1:
        return 0
    weight, bias = known
    if (scale == 0).any() or not (scale.isfinite() & shift.isfinite()).all() or user.args[0] is not node:
        return 0
    mean = (-shift / scale).to(weight.dtype)
    even = border is not None and not _pads(user) and bool((mean == mean[0]).all())
    padded = not even and (border is not None or _pads(user))
    if padded and length == 1 and is_call(node if border is None else border.args[0], aten.sub.Tensor):
        return 0
    wide = weight.double()
    source: Node = image
    if padded:
        shaped = add_constant(graph_module, mean.reshape(1, channels, 1, 1), "image_mean")
        source = emit(user, aten.sub.Tensor, image, shaped)
    if border is not None:
        value = float(mean[0]) if even else 0.0
        source = emit(user, aten.pad.default, source, border.args[1], "constant", value, like=border)
    if padded:
        new_bias = arg(user, "bias")
    else:
        total = (wide * shift.reshape(1, channels, 1, 1)).sum(dim=(1, 2, 3))
        total = total if bias is None else total + bias.double()
        new_bias = add_constant(graph_module, total.to(weight.dtype), "stem_bias")
    new_weight = add_constant(graph_module, (wide * scale.reshape(1, channels, 1, 1)).to(weight.dtype), "stem_weight")
    rest = [arg(user, name) for name in ("stride", "padding", "dilation", "groups")]
    replace(user, emit(user, user.target, source, new_weight, new_bias, *rest))
    return 1


def _affine(node: Node, source: Node, channels: int) -> tuple[torch.Tensor, torch.Tensor] | None:
    """(scale, shift) per channel of one elementwise step over `source`, in float64."""
    if not is_call(node, aten.sub.Tensor, aten.add.Tensor, aten.mul.Tensor, aten.div.Tensor) or len(node.args) < 2:
        return None
    if node.kwargs.get("alpha", 1) != 1:
        return None
    left, right = node.args[:2]
    other = right if left is source else left
    if other is source or (left is not source and is_call(node, aten.div.Tensor)):
        return None
    value = number(other)
    if value is None or value.is_complex():
        return None
    value = value.double()
    if value.numel() == channels and (value.dim() == 3 or value.dim() == 4) and value.shape[-3] == channels:
        value = value.reshape(channels)
    elif value.numel() == 1:
        value = value.reshape(1).expand(channels)
    else:
        return None
    one, zero = torch.ones_like(value), torch.zeros_like(value)
    if is_call(node, aten.add.Tensor):
        return one, value
    if is_call(node, aten.sub.Tensor):
        return (one, -value) if left is source else (-one, value)
    return (value if is_call(node, aten.mul.Tensor) else 1.0 / value), zero


def _pads(node: Node) -> bool:
    padding = arg(node, "padding")
    return padding != "valid" and (padding == "same" or any(padding))
