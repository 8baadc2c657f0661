"""Weights in 8 bits a channel, and bias correction: what rounding them shifts the mean of each channel by.

A weight's rounding error times an input that is large on average, as after ReLU6, is no noise: every pixel gets it. In
depthwise convolutions of nine weights it is most of what 8 bits cost (Nagel et al., 2019, arXiv 1906.04721).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram

from edgekit.quantization.layers import Layer, bias_of, weights

__all__ = ["averaged", "round_weight", "shifts"]

_HIGHEST = 127
_SMALLEST = 2.0**-24  # a scale below it says that the channel is zero


def round_weight(weight: Tensor) -> Tensor:
    """`weight` [O,...] as 8-bit integers give it back, symmetric, one scale an output channel: for every target."""
    largest = weight.detach().abs().reshape(len(weight), -1).amax(1)
    scale = (largest / _HIGHEST).clamp_min(_SMALLEST)
    zero = torch.zeros_like(scale, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -_HIGHEST, _HIGHEST)


def averaged(chosen: Sequence[Layer]) -> set[str]:
    """Names of the nodes whose mean over images `shifts` needs."""
    return {layer.node.all_input_nodes[0].name for layer in chosen if bias_of(layer) is not None}


def shifts(program: ExportedProgram, chosen: Sequence[Layer], means: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """What to add to the bias of each layer that has one once its weights are in 8 bits: float32 [O], by layer name.

    Args:
        means: by name of node, its mean over images, in its own shape.
    """
    known, out = weights(program), {}
    for layer in chosen:
        if bias_of(layer) is None:
            continue
        image, weight = means[layer.node.all_input_nodes[0].name], known[layer.name].float()
        lost = weight - round_weight(weight)
        assert callable(layer.node.target)
        with torch.no_grad():  # a layer is linear: what it makes of the mean image is the mean of what it makes
            made = layer.node.target(image, lost, None, *layer.node.args[3:], **layer.node.kwargs)
        per_channel = made if layer.kind == "linear" else made.movedim(1, -1)
        out[layer.name] = per_channel.reshape(-1, per_channel.shape[-1]).double().mean(0).float().numpy()
    return out
