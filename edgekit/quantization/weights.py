"""Weights in 8 bits a channel: the same rounding for every target."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["round_weight"]

_HIGHEST = 127
_SMALLEST = 2.0**-24  # a scale below it says that the channel is zero


def round_weight(weight: Tensor) -> Tensor:
    """`weight` [O,...] as 8-bit integers give it back, symmetric, one scale an output channel."""
    largest = weight.detach().abs().reshape(len(weight), -1).amax(1)
    scale = (largest / _HIGHEST).clamp_min(_SMALLEST)
    zero = torch.zeros_like(scale, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -_HIGHEST, _HIGHEST)
