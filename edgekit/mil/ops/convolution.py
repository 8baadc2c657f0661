"""Convolution and its transpose, in one, two and three dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor

__all__ = ["TABLE", "pad_pairs"]

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def pad_pairs(
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


def flat(pairs: list[tuple[int, int]]) -> list[int]:
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
    pairs = pad_pairs(pad_type, pad, list(x.shape[2:]), kernel, strides)
    if any(before != after for before, after in pairs):
        x, pairs = F.pad(x, flat(pairs)), [(0, 0)] * rank
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
    pairs = pad_pairs(pad_type if pad_type == "custom" else "valid", pad, list(x.shape[2:]), full, strides)
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


TABLE: dict[str, Callable[..., Tensor]] = {"conv": conv, "conv_transpose": conv_transpose}
