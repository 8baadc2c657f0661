"""Convolution and pooling in one, two and three dimensions.

Pooling windows reach past the padding only in `ceil_mode`, as in PyTorch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def _pad_pairs(
    pad_type: str, pad: list[int] | None, sizes: list[int], kernel: list[int], strides: list[int]
) -> list[tuple[int, int]]:
    """Give the (before, after) padding of each spatial dimension; `kernel` is the dilated extent."""
    if pad_type == "custom" and pad is not None:
        return [(pad[2 * i], pad[2 * i + 1]) for i in range(len(sizes))]
    if pad_type not in ("same", "same_lower"):
        return [(0, 0)] * len(sizes)
    pairs = []
    for size, extent, stride in zip(sizes, kernel, strides, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + extent - size)
        small, large = total // 2, total - total // 2
        pairs.append((small, large) if pad_type == "same" else (large, small))
    return pairs


def _flat(pairs: list[tuple[int, int]]) -> list[int]:
    """Padding as torch takes it: the last dimension's (before, after) first."""
    return [n for pair in reversed(pairs) for n in pair]


class Window(NamedTuple):
    """The inputs that both ops have besides their tensors; a list holds one number for each spatial dimension."""

    strides: list[int] | None = None
    pad_type: str = "valid"
    pad: list[int] | None = None
    dilations: list[int] | None = None
    groups: int = 1


def conv(x: Tensor, weight: Tensor, bias: Tensor | None = None, **window: Any) -> Tensor:
    """[N,C,...] by `weight` [C_out, C/groups, ...] and `bias` [C_out], of one to three spatial dimensions.

    `window` holds the fields of `Window`.
    """
    strides, pad_type, pad, dilations, groups = Window(**window)
    rank = x.ndim - 2
    strides = strides or [1] * rank
    dilations = dilations or [1] * rank
    kernel = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilations, strict=True)]
    pairs = _pad_pairs(pad_type, pad, list(x.shape[2:]), kernel, strides)
    if any(before != after for before, after in pairs):
        x, pairs = F.pad(x, _flat(pairs)), [(0, 0)] * rank
    return CONV[rank](x, weight, bias, strides, [before for before, _ in pairs], dilations, groups)


def conv_transpose(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, output_shape: list[int] | None = None, **window: Any
) -> Tensor:
    """[N,C,...] by `weight` [C, C_out/groups, ...]: each input spread through the kernel, and the sum cut by `pad`.

    `window` holds the fields of `Window`; `output_shape` [N, C_out, ...] settles sizes that a stride leaves open.
    """
    strides, pad_type, pad, dilations, groups = Window(**window)
    rank = x.ndim - 2
    strides = strides or [1] * rank
    dilations = dilations or [1] * rank
    full = [
        (n - 1) * s + (k - 1) * d + 1
        for n, s, k, d in zip(x.shape[2:], strides, weight.shape[2:], dilations, strict=True)
    ]
    pairs = _pad_pairs(pad_type if pad_type == "custom" else "valid", pad, list(x.shape[2:]), full, strides)
    if output_shape is not None:
        sizes = list(output_shape[2:])
    elif pad_type in ("same", "same_lower"):
        sizes = [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
    else:
        sizes = [n - before - after for n, (before, after) in zip(full, pairs, strict=True)]
    starts = [before for before, _ in pairs]
    if pad_type in ("same", "same_lower"):
        spare = [max(0, n - size) for n, size in zip(full, sizes, strict=True)]
        starts = [n // 2 if pad_type == "same" else n - n // 2 for n in spare]
    extra = [max(0, start + size - n) for start, size, n in zip(starts, sizes, full, strict=True)]
    out = CONV_TRANSPOSE[rank](x, weight, bias, strides, 0, extra, groups, dilations)
    for axis, (start, size) in enumerate(zip(starts, sizes, strict=True), start=2):
        out = out.narrow(axis, start, size)
    return out


AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
MAXIMUM = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


class Windows(NamedTuple):
    """Where windows lie: their size, the steps between them, the padding, and what `ceil_mode` adds after it."""

    kernel: list[int]
    strides: list[int]
    pairs: list[tuple[int, int]]
    beyond: list[tuple[int, int]]


def _windows(
    x: Tensor,
    kernel_sizes: list[int],
    pad_type: str,
    strides: list[int] | None = None,
    pad: list[int] | None = None,
    ceil_mode: bool = False,
) -> Windows:
    """The windows over the spatial axes of `x` [N,C,...]; the arguments are inputs that all pooling ops have."""
    strides = strides or [1] * len(kernel_sizes)
    pairs = _pad_pairs(pad_type, pad, list(x.shape[2:]), kernel_sizes, strides)
    beyond = []
    for size, extent, stride, (before, after) in zip(x.shape[2:], kernel_sizes, strides, pairs, strict=True):
        total = size + before + after
        count = (total - extent + (stride - 1 if ceil_mode else 0)) // stride + 1
        if ceil_mode and (before or after) and (count - 1) * stride >= size + before:
            count -= 1
        beyond.append((0, max(0, (count - 1) * stride + extent - total)))
    return Windows(kernel_sizes, strides, pairs, beyond)


def _average(x: Tensor, over: Windows) -> Tensor:
    """Means of windows in which padding counts as zeros, and so does what lies beyond."""
    padded = F.pad(F.pad(x, _flat(over.pairs)), _flat(over.beyond))
    return AVERAGE[x.ndim - 2](padded, over.kernel, over.strides)


def avg_pool(x: Tensor, exclude_padding_from_average: bool = False, **window: Any) -> Tensor:
    """Means of windows of [N,C,...], of one to three spatial axes; `window` is what `_windows` takes."""
    over = _windows(x, **window)
    counted = F.pad(torch.ones(1, 1, *x.shape[2:]), _flat(over.pairs), value=float(not exclude_padding_from_average))
    counted = F.pad(counted, _flat(over.beyond))
    mean = _average(x, over)
    return mean if bool(counted.all()) else mean / AVERAGE[x.ndim - 2](counted, over.kernel, over.strides)


def l2_pool(x: Tensor, **window: Any) -> Tensor:
    """Roots of the sums of squares of windows of [N,C,...]; `window` is what `_windows` takes."""
    over = _windows(x, **window)
    return (_average(x.square(), over) * torch.tensor(over.kernel).prod()).sqrt()


def max_pool(x: Tensor, **window: Any) -> Tensor:
    """Maxima of windows of [N,C,...], which padding never is; `window` is what `_windows` takes."""
    over = _windows(x, **window)
    both = [(before, after + more) for (before, after), (_, more) in zip(over.pairs, over.beyond, strict=True)]
    return MAXIMUM[x.ndim - 2](F.pad(x, _flat(both), value=float("-inf")), over.kernel, over.strides)
