"""Slices, gathers and scatters."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from edgekit.mil.ops.shape import Ints

Mask = Sequence[bool] | None


def _slices(
    x: Tensor,
    begin: Ints,
    end: Ints,
    stride: Ints | None = None,
    begin_mask: Mask = None,
    end_mask: Mask = None,
    squeeze_mask: Mask = None,
) -> list[range | int]:
    """Resolve each dimension to the places it takes, or to one place where the mask says to squeeze it."""
    starts, ends = [int(n) for n in begin], [int(n) for n in end]
    steps = [int(n) for n in stride] if stride is not None else [1] * x.ndim
    out: list[range | int] = []
    for d, size in enumerate(x.shape):
        start = None if begin_mask and begin_mask[d] else starts[d]
        stop = None if end_mask and end_mask[d] else ends[d]
        if squeeze_mask and squeeze_mask[d]:
            out.append((start or 0) % size)
        else:
            out.append(range(size)[start : stop : steps[d]])
    return out


def slice_by_index(x: Tensor, **box: Any) -> Tensor:
    """The box from `begin` to `end` in steps of `stride`; a mask opens an end or drops an axis of one place.

    `box` is what `_slices` takes.
    """
    places = _slices(x, **box)
    for d in reversed(range(x.ndim)):
        place = places[d]
        if isinstance(place, int):
            x = x.select(d, place)
        elif place.step == 1:
            x = x.narrow(d, place.start, len(place)) if len(place) else x.narrow(d, 0, 0)
        else:
            x = x.index_select(d, torch.tensor(place, dtype=torch.int64))
    return x


def slice_update(x: Tensor, update: Tensor, **box: Any) -> Tensor:
    """`x` with `update` written where `slice_by_index` would read."""
    chosen = _slices(x, **box)
    places = [[place] if isinstance(place, int) else list(place) for place in chosen]
    grid = torch.meshgrid(*[torch.tensor(place) for place in places], indexing="ij")
    out = x.clone()
    out[grid] = update.reshape([len(place) for place in places])
    return out


def slice_by_size(x: Tensor, begin: Ints, size: Ints) -> Tensor:
    """The box of `size` that starts at `begin`; a size of -1 reaches to the end."""
    for d, (start, count) in enumerate(zip([int(n) for n in begin], [int(n) for n in size], strict=True)):
        start %= x.shape[d] + (start >= 0)
        x = x.narrow(d, start, x.shape[d] - start if count == -1 else count)
    return x


def _wrap(indices: Tensor, size: int) -> Tensor:
    """Places from 0 to size - 1 of indices that may count from the end; IndexError for one outside."""
    places = indices.long()
    places = torch.where(places < 0, places + size, places)
    if places.numel() and not (int(places.min()) >= 0 and int(places.max()) < size):
        raise IndexError(f"an index lies outside 0 to {size - 1}")
    return places


def gather(x: Tensor, indices: Tensor, axis: int = 0, batch_dims: int = 0, validate_indices: bool = False) -> Tensor:
    """The entries `indices` along `axis`, whose place the axes of `indices` after the first `batch_dims` take."""
    axis %= x.ndim
    indices = _wrap(torch.as_tensor(indices), x.shape[axis])
    if batch_dims == 0:
        return x.index_select(axis, indices.flatten()).reshape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))
    moved = x.movedim(axis, batch_dims)
    batch = moved.shape[:batch_dims]
    rest = moved.shape[batch_dims + 1 :]
    rows = moved.reshape(prod(batch), x.shape[axis], prod(rest))
    picks = indices.reshape(prod(batch), -1, 1).expand(-1, -1, rows.shape[2])
    inner = indices.shape[batch_dims:]
    out = rows.gather(1, picks).reshape(*batch, prod(inner), *rest).movedim(batch_dims, axis)
    return out.reshape(*out.shape[:axis], *inner, *out.shape[axis + 1 :])


def gather_along_axis(x: Tensor, indices: Tensor, axis: int = 0, validate_indices: bool = False) -> Tensor:
    """For each place of `indices`, the entry of `x` at that index of `axis`; the shape of `indices`."""
    return torch.gather(x, axis, _wrap(indices, x.shape[axis]))


def _linear_places(indices: Tensor, sizes: Sequence[int]) -> Tensor:
    """Turn index vectors (last dimension of `indices`) into places in the flattened leading dimensions."""
    out = torch.zeros(indices.shape[:-1], dtype=torch.int64)
    for d, size in enumerate(sizes):
        out = out * size + _wrap(indices[..., d], size)
    return out


def gather_nd(x: Tensor, indices: Tensor, batch_dims: int = 0, validate_indices: bool = False) -> Tensor:
    """The slices of `x` [batch..., ...] that the vectors in the last axis of `indices` name."""
    batch, depth = x.shape[:batch_dims], indices.shape[-1]
    inner = x.shape[batch_dims : batch_dims + depth]
    rest = x.shape[batch_dims + depth :]
    places = _linear_places(indices, inner).reshape(prod(batch), -1)
    places = places + torch.arange(prod(batch))[:, None] * prod(inner)
    return x.reshape(prod(batch) * prod(inner), prod(rest))[places].reshape((*indices.shape[:-1], *rest))


def _combine(data: Tensor, places: Tensor, updates: Tensor, mode: str) -> Tensor:
    """Apply `updates` [m, k] to the rows `places` [m] of `data` [n, k]."""
    if mode == "update":
        return data.index_copy(0, places, updates)
    if mode in ("add", "sub"):
        return data.index_add(0, places, updates, alpha=1 if mode == "add" else -1)
    spread = places[:, None].expand_as(updates)
    if mode == "div":
        return data / torch.ones_like(data).scatter_reduce(0, spread, updates, "prod")
    return data.scatter_reduce(0, spread, updates, {"mul": "prod", "max": "amax", "min": "amin"}[mode])


def scatter(
    data: Tensor, indices: Tensor, updates: Tensor, axis: int = 0, mode: str = "add", validate_indices: bool = False
) -> Tensor:
    """`data` with `updates` put, added or otherwise combined (`mode`) at the places `indices` [m] of `axis`."""
    rows = data.movedim(axis, 0)
    flat = rows.reshape(len(rows), prod(rows.shape[1:]))
    changed = updates.movedim(axis, 0).reshape(len(indices), flat.shape[1])
    out = _combine(flat, _wrap(torch.as_tensor(indices), len(rows)), changed, mode)
    return out.reshape(rows.shape).movedim(0, axis)


def scatter_along_axis(
    data: Tensor, indices: Tensor, updates: Tensor, axis: int = 0, mode: str = "add", validate_indices: bool = False
) -> Tensor:
    """The reverse of `gather_along_axis`: `updates`, shaped like `indices`, combined into `data`."""
    places = torch.gather(torch.arange(data.numel()).reshape(data.shape), axis, _wrap(indices, data.shape[axis]))
    return _combine(data.reshape(-1, 1), places.flatten(), updates.reshape(-1, 1), mode).reshape(data.shape)


def scatter_nd(
    data: Tensor, indices: Tensor, updates: Tensor, mode: str = "add", validate_indices: bool = False
) -> Tensor:
    """The reverse of `gather_nd` without a batch: `updates` combined into the slices that `indices` names."""
    inner = data.shape[: indices.shape[-1]]
    rows = data.reshape(prod(inner), prod(data.shape[indices.shape[-1] :]))
    places = _linear_places(indices, inner).flatten()
    return _combine(rows, places, updates.reshape(len(places), rows.shape[1]), mode).reshape(data.shape)


def non_zero(x: Tensor) -> Tensor:
    """The places of what is not 0, int64 [n, rank]."""
    return x.nonzero()
