"""Fold batch normalisation in inference mode into the layer before it, the layer after it, or a multiply and an add."""

# torch.fx types an argument as a union of sixteen kinds.
# mypy: disable-error-code="union-attr, arg-type, operator, index, attr-defined"

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import (
    add_constant,
    arg,
    calls,
    constant,
    emit,
    features_axis,
    getitem,
    is_call,
    replace,
    shape,
    sole_user,
)

__all__ = ["fold_batch_norm"]

aten = torch.ops.aten
_FUNCTIONAL = aten._native_batch_norm_legit_no_training.default  # what torch's functionalisation makes of batch_norm
_CONVS = (aten.conv2d.default, aten.conv2d.padding, aten.conv1d.default, aten.conv3d.default)
_LAYERS = (*_CONVS, aten.linear.default)


def fold_batch_norm(graph_module: GraphModule) -> int:
    """Fold every inference-mode batch norm. The arithmetic is done in float64.

    Into the convolution or linear before it where nothing else reads that; else into the one after it where that is
    exact (no zero padding); else it becomes one multiply and one add.
    """
    count = 0
    for norm in _norms(graph_module):
        affine = _affine(norm)
        if affine is None:
            continue
        scale, shift = affine
        before, after = norm.args[0], sole_user(norm)
        back = is_call(before, *_LAYERS) and sole_user(before) is norm
        ahead = after is not None and after.args[0] is norm
        if (back and _fold_back(graph_module, before, scale, shift)) or (
            ahead and _fold_ahead(graph_module, after, scale, shift)
        ):
            replace(norm, before)
        else:
            rank = len(shape(norm))
            axes = (1, scale.numel(), *([1] * (rank - 2)))
            dtype = norm.meta["val"].dtype
            gain = add_constant(graph_module, scale.to(dtype).reshape(axes), "norm_scale")
            offset = add_constant(graph_module, shift.to(dtype).reshape(axes), "norm_shift")
            scaled = emit(norm, aten.mul.Tensor, before, gain)
            replace(norm, emit(norm, aten.add.Tensor, scaled, offset))
        count += 1
    return count


def _norms(graph_module: GraphModule) -> Iterator[Node]:
    """The inference-mode batch norms; those of three results of which one is read are first written with one."""
    for node in calls(graph_module, _FUNCTIONAL):
        if all(is_call(user, getitem) and user.args[1] == 0 for user in node.users):
            source, weight, bias, mean, variance, momentum, eps = node.args
            args = (source, weight, bias, mean, variance, False, momentum, eps, False)
            norm = emit(node, aten.batch_norm.default, *args)
            for user in list(node.users):
                replace(user, norm)
    for node in calls(graph_module, aten.batch_norm.default):
        if not arg(node, "training"):
            yield node


def _affine(norm: Node) -> tuple[torch.Tensor, torch.Tensor] | None:
    mean, variance = constant(arg(norm, "running_mean")), constant(arg(norm, "running_var"))
    gain, offset = constant(arg(norm, "weight")), constant(arg(norm, "bias"))
    computed = (gain is None and arg(norm, "weight") is not None) or (offset is None and arg(norm, "bias") is not None)
    if mean is None or variance is None or computed:
        return None
    scale = (variance.double() + arg(norm, "eps")).rsqrt()
    scale = scale if gain is None else scale * gain.double()
    shift = -mean.double() * scale
    return scale, shift if offset is None else shift + offset.double()


def _fold_back(graph_module: GraphModule, layer: Node, scale: torch.Tensor, shift: torch.Tensor) -> bool:
    weight, bias = constant(layer.args[1]), constant(arg(layer, "bias"))
    if weight is None or (bias is None and arg(layer, "bias") is not None) or weight.shape[0] != scale.numel():
        return False
    if features_axis(layer) != 1:
        return False  # batch norm's channels are axis 1
    wide = weight.double() * scale.reshape(-1, *([1] * (weight.dim() - 1)))
    offset = shift if bias is None else shift + bias.double() * scale
    _set_weights(graph_module, layer, wide.to(weight.dtype), offset.to(weight.dtype))
    return True


def _fold_ahead(graph_module: GraphModule, layer: Node, scale: torch.Tensor, shift: torch.Tensor) -> bool:
    if not is_call(layer, aten.linear.default, aten.conv2d.default):
        return False
    weight, bias = constant(layer.args[1]), constant(arg(layer, "bias"))
    if weight is None or (bias is None and arg(layer, "bias") is not None) or weight.shape[1] != scale.numel():
        return False
    if features_axis(layer) != 1:
        return False
    if is_call(layer, aten.conv2d.default) and (arg(layer, "groups") != 1 or any(arg(layer, "padding"))):
        return False
    axes = (1, -1, *([1] * (weight.dim() - 2)))
    wide = weight.double()
    moved = (wide * shift.reshape(axes)).flatten(1).sum(dim=1)
    moved = moved if bias is None else moved + bias.double()
    _set_weights(graph_module, layer, (wide * scale.reshape(axes)).to(weight.dtype), moved.to(weight.dtype))
    return True


def _set_weights(graph_module: GraphModule, layer: Node, weight: torch.Tensor, bias: torch.Tensor) -> None:
    hint = str(layer.args[1].target)
    nodes = (add_constant(graph_module, weight, f"{hint}_folded"), add_constant(graph_module, bias, f"{hint}_bias"))
    layer.args = (layer.args[0], *nodes, *layer.args[3:])
    layer.kwargs = {name: value for name, value in layer.kwargs.items() if name not in ("weight", "bias")}
