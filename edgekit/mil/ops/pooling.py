"""Average, maximum and L2 pooling. Windows reach past the padding only in `ceil_mode`, as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekit.mil.ops.convolution import flat, pad_pairs

__all__ = ["TABLE"]

AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
MAXIMUM = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def geometry(
    x: Tensor, kernel: list[int], strides: list[int], pad_type: str, pad: list[int] | None, ceil_mode: bool
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Give the padding of each dimension, and what `ceil_mode` adds after it."""
    pairs = pad_pairs(pad_type, pad, list(x.shape[2:]), kernel, strides)
    beyond = []
    for size, extent, stride, (before, after) in zip(x.shape[2:], kernel, strides, pairs, strict=True):
        total = size + before + after
        count = (total - extent + (stride - 1 if ceil_mode else 0)) // stride + 1
        if ceil_mode and (before or after) and (count - 1) * stride >= size + before:
            count -= 1
        beyond.append((0, max(0, (count - 1) * stride + extent - total)))
    return pairs, beyond


def average(
    x: Tensor,
    kernel: list[int],
    strides: list[int],
    pairs: list[tuple[int, int]],
    beyond: list[tuple[int, int]],
    padding_counts: bool,
) -> Tensor:
    """Means of windows of `x` [N,C,...]; padding counts as zeros or not at all, what lies `beyond` never."""
    rank = x.ndim - 2
    padded = F.pad(F.pad(x, flat(pairs)), flat(beyond))
    mean = AVERAGE[rank](padded, kernel, strides)
    counted = torch.ones(1, 1, *x.shape[2:])
    counted = F.pad(F.pad(counted, flat(pairs), value=float(padding_counts)), flat(beyond))
    return mean if bool(counted.all()) else mean / AVERAGE[rank](counted, kernel, strides)


def avg_pool(
    x: Tensor,
    kernel_sizes: list[int],
    pad_type: str,
    strides: list[int] | None = None,
    pad: list[int] | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Tensor:
    """Means of windows of [N,C,...], of one to three spatial axes."""
    strides = strides or [1] * len(kernel_sizes)
    pairs, beyond = geometry(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    return average(x, kernel_sizes, strides, pairs, beyond, not exclude_padding_from_average)


def l2_pool(
    x: Tensor,
    kernel_sizes: list[int],
    pad_type: str,
    strides: list[int] | None = None,
    pad: list[int] | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Roots of the sums of squares of windows of [N,C,...]."""
    strides = strides or [1] * len(kernel_sizes)
    pairs, beyond = geometry(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    padded = F.pad(F.pad(x.square(), flat(pairs)), flat(beyond))
    return (AVERAGE[x.ndim - 2](padded, kernel_sizes, strides) * torch.tensor(kernel_sizes).prod()).sqrt()


def max_pool(
    x: Tensor,
    kernel_sizes: list[int],
    pad_type: str,
    strides: list[int] | None = None,
    pad: list[int] | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Maxima of windows of [N,C,...]; padding never wins."""
    strides = strides or [1] * len(kernel_sizes)
    pairs, beyond = geometry(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    both = [(before, after + more) for (before, after), (_, more) in zip(pairs, beyond, strict=True)]
    return MAXIMUM[x.ndim - 2](F.pad(x, flat(both), value=float("-inf")), kernel_sizes, strides)


TABLE: dict[str, Callable[..., Tensor]] = {"avg_pool": avg_pool, "l2_pool": l2_pool, "max_pool": max_pool}
