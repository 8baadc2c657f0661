"""Fold batch normalisation in inference mode into the layer before it, the layer after it, or a multiply and an add."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import (
    add_constant,
    affine,
    arg,
    args_of,
    calls,
    constant,
    emit,
    features_axis,
    getitem,
    is_call,
    replace,
    set_weights,
    sole_user,
    source_of,
    val,
    weights,
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
        known = _scale_and_shift(norm)
        if known is None:
            continue
        scale, shift = known
        before, after = source_of(norm), sole_user(norm)
        back = is_call(before, *_LAYERS) and sole_user(before) is norm
        if (back and _fold_back(before, scale, shift)) or (
            after is not None and after.args[0] is norm and _fold_ahead(after, scale, shift)
        ):
            replace(norm, before)
        else:
            axes = (1, scale.numel(), *([1] * (val(norm).dim() - 2)))
            gain = add_constant(norm, scale.to(val(norm).dtype).reshape(axes), "norm_scale")
            offset = add_constant(norm, shift.to(val(norm).dtype).reshape(axes), "norm_shift")
            replace(norm, emit(norm, aten.add.Tensor, emit(norm, aten.mul.Tensor, before, gain), offset))
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


def _scale_and_shift(norm: Node) -> tuple[torch.Tensor, torch.Tensor] | None:
    mean, variance, known = constant(arg(norm, "running_mean")), constant(arg(norm, "running_var")), affine(norm)
    if mean is None or variance is None or known is None:
        return None
    gain, offset = known
    scale = (variance.double() + arg(norm, "eps")).rsqrt()
    scale = scale if gain is None else scale * gain.double()
    shift = -mean.double() * scale
    return scale, shift if offset is None else shift + offset.double()


def _fold_back(layer: Node, scale: torch.Tensor, shift: torch.Tensor) -> bool:
    known = weights(layer)
    if known is None or features_axis(layer) != 1 or known[0].shape[0] != scale.numel():  # the norm's channels, axis 1
        return False
    weight, bias = known
    wide = weight.double() * scale.reshape(-1, *([1] * (weight.dim() - 1)))
    offset = shift if bias is None else shift + bias.double() * scale
    _fold_into(layer, wide.to(weight.dtype), offset.to(weight.dtype))
    return True


def _fold_ahead(layer: Node, scale: torch.Tensor, shift: torch.Tensor) -> bool:
    if not is_call(layer, aten.linear.default, aten.conv2d.default):
        return False
    known = weights(layer)
    if known is None or features_axis(layer) != 1 or known[0].shape[1] != scale.numel():
        return False
    weight, bias = known
    if is_call(layer, aten.conv2d.default) and (arg(layer, "groups") != 1 or any(arg(layer, "padding"))):
        return False
    axes = (1, -1, *([1] * (weight.dim() - 2)))
    wide = weight.double()
    moved = (wide * shift.reshape(axes)).flatten(1).sum(dim=1)
    moved = moved if bias is None else moved + bias.double()
    _fold_into(layer, (wide * scale.reshape(axes)).to(weight.dtype), moved.to(weight.dtype))
    return True


def _fold_into(layer: Node, weight: torch.Tensor, bias: torch.Tensor) -> None:
    hint = str(args_of(layer)[1].target)
    set_weights(layer, add_constant(layer, weight, f"{hint}_folded"), add_constant(layer, bias, f"{hint}_bias"))
