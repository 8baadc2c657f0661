"""Ops that rearrange, repeat, pad or make tensors without changing any value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Ints = Tensor | Sequence[int]


def reshape(x: Tensor, shape: Ints) -> Tensor:
    """Reshape; a 0 keeps the dimension of `x` that is as far from the right."""
    sizes = [int(n) for n in shape]
    for place, size in enumerate(reversed(sizes), start=1):
        if size == 0:
            sizes[-place] = x.shape[-place] if place <= x.ndim else 1
    return x.reshape(sizes)


def reshape_like(
    x: Tensor, ref_tensors: Sequence[Tensor], begins: Sequence[int], ends: Sequence[int], end_masks: Sequence[bool]
) -> Tensor:
    """The shape put together of axes `begins`..`ends` of each reference tensor; a mask opens the end."""
    rows = zip(ref_tensors, begins, ends, end_masks, strict=True)
    return x.reshape([n for ref, begin, end, mask in rows for n in ref.shape[int(begin) : None if mask else int(end)]])


def transpose(x: Tensor, perm: Sequence[int]) -> Tensor:
    """The axes in the order `perm`."""
    return x.permute(*perm)


def expand_dims(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Axes of size 1 at these places of the result."""
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def squeeze(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Without these axes of size 1, or without all of them."""
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def flatten2d(x: Tensor, axis: int = 1) -> Tensor:
    """[rows, columns], the axes before and from `axis` on."""
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


def concat(values: Sequence[Tensor], axis: int, interleave: bool = False) -> Tensor:
    """Joined along `axis`; with `interleave` the entries take turns."""
    if not interleave:
        return torch.cat([v.reshape(1) if v.ndim == 0 else v for v in values], axis)
    axis %= values[0].ndim
    return torch.stack(list(values), axis + 1).flatten(axis, axis + 1)


def stack(values: Sequence[Tensor], axis: int) -> Tensor:
    """Joined along a new `axis`."""
    return torch.stack(list(values), axis)


def split(
    x: Tensor, axis: int, num_splits: int | None = None, split_sizes: Sequence[int] | None = None
) -> tuple[Tensor, ...]:
    """Parts along `axis`, of these sizes or that many equal ones."""
    if split_sizes is not None:
        return x.split([int(n) for n in split_sizes], axis)
    return x.split(x.shape[axis] // (num_splits or 1), axis)


def tile(x: Tensor, reps: Ints) -> Tensor:
    """Each axis repeated so many times."""
    return x.repeat([int(n) for n in reps])


def reverse(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """These axes, or all, back to front."""
    return x.flip(list(range(x.ndim)) if axes is None else list(axes))


def reverse_sequence(x: Tensor, lengths: Tensor, seq_axis: int = 0, batch_axis: int = 0) -> Tensor:
    """The first `lengths[i]` entries of `seq_axis` back to front, for each place i of `batch_axis`."""
    moved = x.movedim((batch_axis, seq_axis), (0, 1))
    place = torch.arange(moved.shape[1])
    limit = torch.as_tensor(lengths).long()[:, None]
    source = torch.where(place < limit, limit - 1 - place, place)
    return moved[torch.arange(len(moved))[:, None], source].movedim((0, 1), (batch_axis, seq_axis))


def pad(x: Tensor, pad: Ints, mode: str = "constant", constant_val: float = 0.0) -> Tensor:
    """Pad the last dimensions by (before, after) pairs given first dimension first."""
    amounts = [int(n) for n in pad]
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    if mode == "constant":
        return F.pad(x, [n for pair in reversed(pairs) for n in pair], value=constant_val)
    for axis, pair in enumerate(pairs, start=x.ndim - len(pairs)):
        if any(pair):
            source = np.pad(np.arange(x.shape[axis]), pair, mode="reflect" if mode == "reflect" else "edge")
            x = x.index_select(axis, torch.from_numpy(source))
    return x


def crop(x: Tensor, crop_height: Sequence[int], crop_width: Sequence[int]) -> Tensor:
    """[..., H, W] without so many rows (top, bottom) and columns (left, right)."""
    (top, bottom), (left, right) = crop_height, crop_width
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


def depth_to_space(x: Tensor, block_size: int) -> Tensor:
    """Spread channels over space; the channel index reads (block row, block column, channel)."""
    n, c, h, w = x.shape
    b = block_size
    return x.reshape(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)


def space_to_depth(x: Tensor, block_size: int) -> Tensor:
    """The reverse of `depth_to_space`: [N,C,H,W] to [N,C*b*b,H/b,W/b]."""
    n, c, h, w = x.shape
    b = block_size
    return x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, c * b**2, h // b, w // b)


def space_to_batch(x: Tensor, block_shape: Sequence[int], paddings: Tensor) -> Tensor:
    """Zeros around [N,C,H,W], then the pixels of each place of a block as an own image."""
    (top, bottom), (left, right) = paddings.tolist()
    x = F.pad(x, [left, right, top, bottom])
    (n, c, h, w), (bh, bw) = x.shape, block_shape
    x = x.reshape(n, c, h // bh, bh, w // bw, bw).permute(3, 5, 0, 1, 2, 4)
    return x.reshape(n * bh * bw, c, h // bh, w // bw)


def batch_to_space(x: Tensor, block_shape: Sequence[int], crops: Tensor) -> Tensor:
    """The reverse of `space_to_batch`, cut by `crops` [2, 2] in place of padded."""
    (n, c, h, w), (bh, bw) = x.shape, block_shape
    x = x.reshape(bh, bw, n // (bh * bw), c, h, w).permute(2, 3, 4, 0, 5, 1)
    height, width = crops.tolist()
    return crop(x.reshape(n // (bh * bw), c, h * bh, w * bw), height, width)


def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    """[N,C*f*f,H,W] to [N,C,H*f,W*f]; the channel index reads (channel, row, column)."""
    return F.pixel_shuffle(x, upscale_factor)


def pixel_unshuffle(x: Tensor, downscale_factor: int) -> Tensor:
    """[N,C,H*f,W*f] to [N,C*f*f,H,W]."""
    return F.pixel_unshuffle(x, downscale_factor)


def sliding_windows(x: Tensor, axis: int, size: int, stride: int = 1) -> Tensor:
    """Windows of `size` along `axis`, `stride` apart, as a new axis after it: [..., windows, size, ...]."""
    axis %= x.ndim
    return x.unfold(axis, size, stride).movedim(-1, axis + 1)


def band_part(x: Tensor, lower: int = -1, upper: int = -1) -> Tensor:
    """Zeros outside the band of so many diagonals below and above the main one; -1 keeps a side whole."""
    out = x if upper < 0 else x.tril(upper)
    return out if lower < 0 else out.triu(-lower)


def fill(shape: Ints, value: float | int | bool = 0.0) -> Tensor:
    """A tensor of one value."""
    return torch.full([int(n) for n in shape], value)


def fill_like(ref_tensor: Tensor, value: float | int | bool = 0.0) -> Tensor:
    """A tensor of one value, shaped like `ref_tensor`."""
    return torch.full(ref_tensor.shape, value)


def range_1d(end: Tensor, start: Tensor, step: Tensor) -> Tensor:
    """`start`, `start + step`, ... before `end`, [n]; integers where start and step are."""
    if not torch.result_type(start, step).is_floating_point:
        return torch.arange(start.item(), end.item(), step.item())
    # Counted in float32: in float64, 9 / float32(1e-6) is a little more than 9,000,000.
    count = int(torch.ceil((end.float() - start.float()) / step.float()))
    return start.float() + step.float() * torch.arange(max(count, 0))


def shape(x: Tensor) -> Tensor:
    """The sizes of `x`, int32 [rank]."""
    return torch.tensor(x.shape, dtype=torch.int32)


def one_hot(
    indices: Tensor,
    one_hot_vector_size: int | Tensor,
    axis: int = -1,
    on_value: float | int | bool = 1,
    off_value: float | int | bool = 0,
) -> Tensor:
    """`on_value` at each index along a new `axis` of that size, `off_value` elsewhere."""
    axis = axis + indices.ndim + 1 if axis < 0 else axis
    places = torch.arange(int(one_hot_vector_size)).reshape(-1, *([1] * (indices.ndim - axis)))
    return torch.where(indices.unsqueeze(axis) == places, torch.tensor(on_value), torch.tensor(off_value))


def identity(x: Tensor) -> Tensor:
    """`x` itself."""
    return x
