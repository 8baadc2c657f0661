"""Compressed weights: every `constexpr_*` op, decoded once when the model is loaded.

The iOS 16 forms pack indices and masks into bytes, least significant bit first; the iOS 18 forms hold them
as typed tensors and add blocks (one scale or table for a block of elements) and vectors (one index for
several elements).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from edgekit.mil.ops.quantization import Parameter, dequantize

__all__ = ["TABLE"]


def unpack(packed: Tensor, bits: int, count: int) -> Tensor:
    """Read `count` unsigned `bits`-bit numbers from bytes; returns uint8 [count]."""
    stream = (packed[:, None] >> torch.arange(8, dtype=torch.uint8)) & 1
    stream = stream.flatten()[: count * bits].reshape(count, bits)
    return (stream << torch.arange(bits, dtype=torch.uint8)).sum(1, dtype=torch.uint8)


def spread(blocks: Tensor, shape: Sequence[int]) -> Tensor:
    """Repeat each entry over the block of elements it stands for, up to `shape`."""
    for axis, size in enumerate(shape):
        repeats = size // blocks.shape[axis]
        blocks = blocks.repeat_interleave(repeats, axis) if repeats > 1 else blocks
    return blocks


def look_up(indices: Tensor, lut: Tensor, vector_axis: int | None) -> Tensor:
    """Take each index's entry from its block's table; `lut` is [blocks..., entries, vector]."""
    *blocks, entries, vector = lut.shape
    table = torch.arange(torch.tensor(blocks).prod().item()).reshape(blocks)
    rows = spread(table, indices.shape) * entries + indices
    out = lut.reshape(-1, vector)[rows]
    if vector == 1 or vector_axis is None:
        return out.squeeze(-1)
    axis = vector_axis % indices.ndim
    return out.movedim(-1, axis + 1).flatten(axis, axis + 1)


def affine_dequantize(quantized_data: Tensor, zero_point: Parameter, scale: Parameter, axis: int) -> Tensor:
    """iOS 16's 8-bit weights: `(data - zero_point) * scale` along `axis`; float32 of the same shape."""
    return dequantize(quantized_data, scale, zero_point, axis)


def blockwise_shift_scale(data: Tensor, scale: Tensor, offset: Tensor | None = None) -> Tensor:
    """iOS 18's 4- or 8-bit weights: `(data - offset) * scale`, one scale [blocks...] for each block."""
    out = data.float()
    if offset is not None:
        out = out - spread(offset.float(), data.shape)
    return out * spread(scale, data.shape)


def lut_to_dense(indices: Tensor, lut: Tensor, shape: Tensor | None = None, vector_axis: int | None = None) -> Tensor:
    """Palettized weights: packed `indices`, `lut` [entries] and `shape` (iOS 16), or indices and tables of blocks."""
    if shape is None:
        return look_up(indices, lut, vector_axis)
    sizes = [int(n) for n in shape]
    count = int(shape.prod())
    return lut[unpack(indices, len(lut).bit_length() - 1, count).long()].reshape(sizes)


def sparse_to_dense(nonzero_data: Tensor, mask: Tensor, shape: Tensor | None = None) -> Tensor:
    """Put the nonzero values where `mask` says, zeros elsewhere; iOS 16 packs the mask and gives `shape`."""
    if shape is not None:
        mask = unpack(mask, 1, int(shape.prod())).reshape([int(n) for n in shape])
    dense = torch.zeros(mask.shape, dtype=nonzero_data.dtype)
    dense[mask.bool()] = nonzero_data
    return dense


def lut_to_sparse(
    indices_mask: Tensor, indices_nonzero_data: Tensor, lut: Tensor, vector_axis: int | None = None
) -> tuple[Tensor, Tensor]:
    """Palettized values of a sparse weight: the mask, and the nonzero values [n], for `sparse_to_dense`."""
    dense = look_up(sparse_to_dense(indices_nonzero_data, indices_mask), lut, vector_axis)
    mask = spread(indices_mask, dense.shape)
    return mask, dense[mask.bool()]


def sparse_blockwise_shift_scale(
    data_mask: Tensor, nonzero_data: Tensor, scale: Tensor, offset: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Dequantized values of a sparse weight: the mask, and the nonzero values [n]."""
    dense = blockwise_shift_scale(sparse_to_dense(nonzero_data, data_mask), scale, offset)
    return data_mask, dense[data_mask.bool()]


def cast(source_val: Tensor, output_dtype: str) -> Tensor:
    """A constant in another float type; the runner converts it."""
    return source_val


TABLE: dict[str, Callable[..., Tensor | tuple[Tensor, Tensor]]] = {
    "constexpr_affine_dequantize": affine_dequantize,
    "constexpr_blockwise_shift_scale": blockwise_shift_scale,
    "constexpr_cast": cast,
    "constexpr_lut_to_dense": lut_to_dense,
    "constexpr_lut_to_sparse": lut_to_sparse,
    "constexpr_sparse_blockwise_shift_scale": sparse_blockwise_shift_scale,
    "constexpr_sparse_to_dense": sparse_to_dense,
}
