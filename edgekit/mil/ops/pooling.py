"""Average, maximum and L2 pooling. Windows reach past the padding only in `ceil_mode`, as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekit.mil.ops.convolution import flat, pad_pairs

__all__ = ["TABLE"]

AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
MAXIMUM = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


class Windows(NamedTuple):
    """Where windows lie: their size, the steps between them, the padding, and what `ceil_mode` adds after it."""

    kernel: list[int]
    strides: list[int]
    pairs: list[tuple[int, int]]
    beyond: list[tuple[int, int]]


def windows(
    x: Tensor,
    kernel_sizes: list[int],
    pad_type: str,
    strides: list[int] | None = None,
    pad: list[int] | None = None,
    ceil_mode: bool = False,
) -> Windows:
    """The windows over the spatial axes of `x` [N,C,...]; the arguments are inputs that all pooling ops have."""
    strides = strides or [1] * len(kernel_sizes)
    pairs = pad_pairs(pad_type, pad, list(x.shape[2:]), kernel_sizes, strides)
    beyond = []
    for size, extent, stride, (before, after) in zip(x.shape[2:], kernel_sizes, strides, pairs, strict=True):
        total = size + before + after
        count = (total - extent + (stride - 1 if ceil_mode else 0)) // stride + 1
        if ceil_mode and (before or after) and (count - 1) * stride >= size + before:
            count -= 1
        beyond.append((0, max(0, (count - 1) * stride + extent - total)))
    return Windows(kernel_sizes, strides, pairs, beyond)


def average(x: Tensor, over: Windows) -> Tensor:
    """Means of windows in which padding counts as zeros, and so does what lies beyond."""
    padded = F.pad(F.pad(x, flat(over.pairs)), flat(over.beyond))
    return AVERAGE[x.ndim - 2](padded, over.kernel, over.strides)


def avg_pool(x: Tensor, exclude_padding_from_average: bool = False, **window: Any) -> Tensor:
    """Means of windows of [N,C,...], of one to three spatial axes; `window` is what `windows` takes."""
    over = windows(x, **window)
    counted = F.pad(torch.ones(1, 1, *x.shape[2:]), flat(over.pairs), value=float(not exclude_padding_from_average))
    counted = F.pad(counted, flat(over.beyond))
    mean = average(x, over)
    return mean if bool(counted.all()) else mean / AVERAGE[x.ndim - 2](counted, over.kernel, over.strides)


def l2_pool(x: Tensor, **window: Any) -> Tensor:
    """Roots of the sums of squares of windows of [N,C,...]; `window` is what `windows` takes."""
    over = windows(x, **window)
    return (average(x.square(), over) * torch.tensor(over.kernel).prod()).sqrt()


def max_pool(x: Tensor, **window: Any) -> Tensor:
    """Maxima of windows of [N,C,...], which padding never is; `window` is what `windows` takes."""
    over = windows(x, **window)
    both = [(before, after + more) for (before, after), (_, more) in zip(over.pairs, over.beyond, strict=True)]
    return MAXIMUM[x.ndim - 2](F.pad(x, flat(both), value=float("-inf")), over.kernel, over.strides)


TABLE: dict[str, Callable[..., Tensor]] = {"avg_pool": avg_pool, "l2_pool": l2_pool, "max_pool": max_pool}
