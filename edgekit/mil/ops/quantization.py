"""Affine quantization of activations: integers and back, per tensor or along one axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["TABLE"]

Parameter = Tensor | Sequence[int] | float | int
RANGES = {"int8": (-128, 127, torch.int8), "uint8": (0, 255, torch.uint8)}


def along(value: Parameter, like: Tensor, axis: int | None) -> Tensor:
    """Shape a scalar or a vector so that it broadcasts along `axis` of `like`."""
    vector = torch.as_tensor(value, dtype=torch.float32)
    if vector.ndim == 0 or axis is None:
        return vector
    shape = [1] * like.ndim
    shape[axis] = -1
    return vector.reshape(shape)


def quantize(
    input: Tensor, scale: Parameter, output_dtype: str, zero_point: Parameter = 0, axis: int | None = None
) -> Tensor:
    """`round(input / scale) + zero_point`, limited to int8 or uint8; scalars, or vectors along `axis`."""
    low, high, dtype = RANGES[output_dtype]
    steps = torch.round(input / along(scale, input, axis)) + along(zero_point, input, axis)
    return steps.clamp(low, high).to(dtype)


def dequantize(input: Tensor, scale: Parameter, zero_point: Parameter = 0, axis: int | None = None) -> Tensor:
    """`(input - zero_point) * scale` in float32; scalars, or vectors along `axis`."""
    return (input.float() - along(zero_point, input, axis)) * along(scale, input, axis)


TABLE: dict[str, Callable[..., Tensor]] = {"quantize": quantize, "dequantize": dequantize}
