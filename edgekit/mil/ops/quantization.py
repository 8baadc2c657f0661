"""Quantized activations, and compressed weights: every `constexpr_*` op, decoded once when the model is loaded.

The iOS 16 forms pack indices and masks into bytes, least significant bit first; the iOS 18 forms hold them
as typed tensors and add blocks (one scale or table for a block of elements) and vectors (one index for
several elements).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Parameter = Tensor | Sequence[int] | float | int
RANGES = {"int8": (-128, 127, torch.int8), "uint8": (0, 255, torch.uint8)}


def _along(value: Parameter, like: Tensor, axis: int | None) -> Tensor:
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
    steps = torch.round(input / _along(scale, input, axis)) + _along(zero_point, input, axis)
    return steps.clamp(low, high).to(dtype)


def dequantize(input: Tensor, scale: Parameter, zero_point: Parameter = 0, axis: int | None = None) -> Tensor:
    """`(input - zero_point) * scale` in float32; scalars, or vectors along `axis`."""
    return (input.float() - _along(zero_point, input, axis)) * _along(scale, input, axis)


def _unpack(packed: Tensor, bits: int, count: int) -> Tensor:
    """Read `count` unsigned `bits`-bit numbers from bytes; returns uint8 [count]."""
    stream = (packed[:, None] >> torch.arange(8, dtype=torch.uint8)) & 1
    stream = stream.flatten()[: count * bits].reshape(count, bits)
    return (stream << torch.arange(bits, dtype=torch.uint8)).sum(1, dtype=torch.uint8)


def _spread(blocks: Tensor, shape: Sequence[int]) -> Tensor:
    """Repeat each entry over the block of elements it stands for, up to `shape`."""
    for axis, size in enumerate(shape):
        repeats = size // blocks.shape[axis]
        blocks = blocks.repeat_interleave(repeats, axis) if repeats > 1 else blocks
    return blocks


def _look_up(indices: Tensor, lut: Tensor, vector_axis: int | None) -> Tensor:
    """Take each index's entry from its block's table; `lut` is [blocks..., entries, vector]."""
    *blocks, entries, vector = lut.shape
    table = torch.arange(torch.tensor(blocks).prod().item()).reshape(blocks)
    rows = _spread(table, indices.shape) * entries + indices
    out = lut.reshape(-1, vector)[rows]
    if vector == 1 or vector_axis is None:
        return out.squeeze(-1)
    axis = vector_axis % indices.ndim
    return out.movedim(-1, axis + 1).flatten(axis, axis + 1)


def constexpr_affine_dequantize(quantized_data: Tensor, zero_point: Parameter, scale: Parameter, axis: int) -> Tensor:
    """iOS 16's 8-bit weights: `(data - zero_point) * scale` along `axis`; float32 of the same shape."""
    return dequantize(quantized_data, scale, zero_point, axis)


def constexpr_blockwise_shift_scale(data: Tensor, scale: Tensor, offset: Tensor | None = None) -> Tensor:
    """iOS 18's 4- or 8-bit weights: `(data - offset) * scale`, one scale [blocks...] for each block."""
    out = data.float()
    if offset is not None:
        out = out - _spread(offset.float(), data.shape)
    return out * _spread(scale, data.shape)


def constexpr_lut_to_dense(
    indices: Tensor, lut: Tensor, shape: Tensor | None = None, vector_axis: int | None = None
) -> Tensor:
    """Palettized weights: packed `indices`, `lut` [entries] and `shape` (iOS 16), or indices and tables of blocks."""
    if shape is None:
        return _look_up(indices, lut, vector_axis)
    sizes = [int(n) for n in shape]
    count = int(shape.prod())
    return lut[_unpack(indices, len(lut).bit_length() - 1, count).long()].reshape(sizes)


def constexpr_sparse_to_dense(nonzero_data: Tensor, mask: Tensor, shape: Tensor | None = None) -> Tensor:
    """Put the nonzero values where `mask` says, zeros elsewhere; iOS 16 packs the mask and gives `shape`."""
    if shape is not None:
        mask = _unpack(mask, 1, int(shape.prod())).reshape([int(n) for n in shape])
    dense = torch.zeros(mask.shape, dtype=nonzero_data.dtype)
    dense[mask.bool()] = nonzero_data
    return dense


def constexpr_lut_to_sparse(
    indices_mask: Tensor, indices_nonzero_data: Tensor, lut: Tensor, vector_axis: int | None = None
) -> tuple[Tensor, Tensor]:
    """Palettized values of a sparse weight: the mask, and the nonzero values [n], for `constexpr_sparse_to_dense`."""
    dense = _look_up(constexpr_sparse_to_dense(indices_nonzero_data, indices_mask), lut, vector_axis)
    mask = _spread(indices_mask, dense.shape)
    return mask, dense[mask.bool()]


def constexpr_sparse_blockwise_shift_scale(
    data_mask: Tensor, nonzero_data: Tensor, scale: Tensor, offset: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Dequantized values of a sparse weight: the mask, and the nonzero values [n]."""
    dense = constexpr_blockwise_shift_scale(constexpr_sparse_to_dense(nonzero_data, data_mask), scale, offset)
    return data_mask, dense[data_mask.bool()]


def constexpr_cast(source_val: Tensor, output_dtype: str) -> Tensor:
    """A constant in another float type; the runner converts it."""
    return source_val
