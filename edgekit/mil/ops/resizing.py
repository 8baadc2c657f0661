"""Resampling of the last dimensions on the grids that the MIL reference defines for each sampling mode."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgekit.mil.ops.shape import Ints


def _grid(size: int, out: int, mode: str) -> Tensor:
    """Give the source coordinate of each of `out` samples of a line of `size` pixels; float64 [out]."""
    steps = torch.arange(out, dtype=torch.float64)
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if out == 1:
            return steps + (0 if mode == "STRICT_ALIGN_CORNERS" else (size - 1) / 2)
        points = steps * ((size - 1) / (out - 1))
    elif mode == "DEFAULT":
        points = steps * (size / out)
    elif mode == "OFFSET_CORNERS":
        points = (steps + 0.5) * (max(1, size - 1) / out)
    elif mode == "UNALIGN_CORNERS":
        points = (steps + 0.5) * (size / out) - 0.5
    else:
        raise ValueError(f"unknown sampling mode {mode}")
    return points.clamp(0, size - 1)


def _linear(x: Tensor, axis: int, out: int, mode: str) -> Tensor:
    """One axis of `x` resampled to `out` pixels, each between its two neighbours."""
    size = x.shape[axis]
    points = _grid(size, out, mode)
    low = points.floor().long()
    share = (points - low).float().reshape(-1, *([1] * (x.ndim - 1 - axis % x.ndim)))
    below, above = x.index_select(axis, low), x.index_select(axis, (low + 1).clamp(max=size - 1))
    return torch.lerp(below, above, share)


def _nearest(x: Tensor, axis: int, out: int, mode: str) -> Tensor:
    """One axis of `x` resampled to `out` pixels, each a copy of one; in DEFAULT of the one at or before it."""
    size = x.shape[axis]
    if mode == "UNALIGN_CORNERS":
        points = ((torch.arange(out, dtype=torch.float64) + 0.5) * (size / out)).floor()
    elif mode == "DEFAULT":
        # In integers: a float product such as 3 * (2 / 6) may fall just below the pixel it means.
        points = torch.arange(out) * size // out
    else:
        points = _grid(size, out, mode).round()
    return x.index_select(axis, points.long().clamp(max=size - 1))


def _nearest_on_grid(x: Tensor, axis: int, out: int, mode: str) -> Tensor:
    """As iOS 17's `resize` has it: in the mode DEFAULT the grid is rounded, where the older ops round down."""
    if mode != "DEFAULT":
        return _nearest(x, axis, out, mode)
    size = x.shape[axis]
    places = (2 * torch.arange(out) * size + out) // (2 * out)  # in integers, halves up
    return x.index_select(axis, places.clamp(max=size - 1))


def _scaled(x: Tensor, scale_height: float, scale_width: float) -> tuple[int, int]:
    """Height and width of [..., H, W] times the factors, rounded down, in float32 as Core ML computes them."""
    height, width = (
        np.float32(s) * np.float32(n) for s, n in zip((scale_height, scale_width), x.shape[-2:], strict=True)
    )
    return int(np.floor(height)), int(np.floor(width))


def resize_bilinear(
    x: Tensor, target_size_height: int = 1, target_size_width: int = 1, sampling_mode: str = "DEFAULT"
) -> Tensor:
    """The last two axes to a height and a width, in pixels."""
    return _linear(_linear(x, -2, target_size_height, sampling_mode), -1, target_size_width, sampling_mode)


def resize_nearest_neighbor(x: Tensor, target_size_height: int, target_size_width: int) -> Tensor:
    """The last two axes to a height and a width, in pixels."""
    return _nearest(_nearest(x, -2, target_size_height, "DEFAULT"), -1, target_size_width, "DEFAULT")


def upsample_nearest_neighbor(x: Tensor, scale_factor_height: float = 1, scale_factor_width: float = 1) -> Tensor:
    """The last two axes by two factors."""
    return resize_nearest_neighbor(x, *_scaled(x, scale_factor_height, scale_factor_width))


def upsample_bilinear(
    x: Tensor,
    scale_factor_height: float = 1,
    scale_factor_width: float = 1,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Tensor:
    """The last two axes by two factors, on the grid that the two flags choose."""
    centres = not align_corners if half_pixel_centers is None else half_pixel_centers
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS" if centres else "DEFAULT"
    return resize_bilinear(x, *_scaled(x, scale_factor_height, scale_factor_width), mode)


def resize(
    x: Tensor, shape: Ints, resized_dims: int, interpolation_mode: str = "LINEAR", sampling_mode: str = "DEFAULT"
) -> Tensor:
    """iOS 17's: the last `resized_dims` axes to the last entries of `shape`, where 0 keeps a size."""
    sample = _linear if interpolation_mode == "LINEAR" else _nearest_on_grid
    for axis, size in enumerate(shape[-resized_dims:], start=-resized_dims):
        x = sample(x, axis, int(size) or x.shape[axis], sampling_mode)
    return x


def resample(
    x: Tensor,
    coordinates: Tensor,
    sampling_mode: str,
    padding_mode: str,
    padding_value: float,
    coordinates_mode: str,
    align_corners: bool,
) -> Tensor:
    """`x` [N,C,H,W] read at `coordinates` [N,h,w,2], (x, y) in pixels or in 0..1 or -1..1: [N,C,h,w]."""
    points = coordinates.float()
    extent = torch.tensor([x.shape[3], x.shape[2]], dtype=torch.float32)
    if coordinates_mode == "normalized_zero_to_one":
        points = points * 2 - 1
    elif coordinates_mode == "unnormalized":
        points = points * 2 / (extent - 1) - 1 if align_corners else (points * 2 + 1) / extent - 1
    if padding_mode not in ("constant", "border", "reflection", "symmetric"):
        raise ValueError(f"unknown padding mode {padding_mode}")
    # torch reflects about pixel centres when corners are aligned and about pixel edges otherwise.
    if padding_mode in ("reflection", "symmetric"):
        if (padding_mode == "reflection") != align_corners:
            raise ValueError(f"padding mode {padding_mode} with align_corners={align_corners} is not supported")
        padding = "reflection"
    else:
        padding = "zeros" if padding_mode == "constant" else "border"
    value = padding_value if padding_mode == "constant" else 0.0
    return F.grid_sample(x - value, points, sampling_mode, padding, align_corners) + value
