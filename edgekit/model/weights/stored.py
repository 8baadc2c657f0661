"""Tensors as a file describes them: shape and dtype are known, values are read only when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import torch

from edgekit.errors import InputError
from edgekit.support.text import shown

__all__ = ["Named", "Stored", "dtype_called", "of_tensor", "quote", "strided"]


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor in a file. `odd` says why it cannot be weights, where it cannot; `place` tells equal ones."""

    shape: tuple[int, ...]
    dtype: torch.dtype | None
    load: Callable[[], torch.Tensor]
    place: Hashable
    odd: str = ""


@dataclass(frozen=True, eq=False)
class Named:
    """A tensor with its full dotted name, through all that it is nested in; `group` is that of its dict or module."""

    name: str
    group: str
    stored: Stored
    of_module: bool = False  # found in a pickled module rather than in a state dict

    def renamed(self, name: str) -> Named:
        """The same tensor under another name."""
        return replace(self, name=name)


def quote(text: str) -> str:
    """A name of the file as a message shows it, in quotes."""
    return f"'{shown(text, 80)}'"


def dtype_called(name: str) -> torch.dtype | None:
    """The dtype that torch calls so; None where it has none of that name."""
    dtype = getattr(torch, name, None)
    return dtype if isinstance(dtype, torch.dtype) else None


def of_tensor(tensor: torch.Tensor) -> Stored:
    """A tensor that is in memory already."""
    return Stored(tuple(tensor.shape), tensor.dtype, lambda: tensor, id(tensor))


def strided(flat: torch.Tensor, offset: Any, shape: Any, stride: Any) -> torch.Tensor:
    """A view into a storage's values [N]; InputError where it would reach beyond them."""
    numbers = (offset, *shape, *stride)
    if len(shape) != len(stride) or any(type(n) is not int or not 0 <= n < 1 << 48 for n in numbers):
        raise InputError("a tensor's shape is no shape")
    count = math.prod(shape)
    if count > flat.numel():
        raise InputError(f"a tensor claims {list(shape)}, more values than the file holds for it")
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    if count and last >= flat.numel():
        raise InputError("a tensor reaches beyond its storage; fetch or save it again")
    return flat.as_strided(shape, stride, offset) if count else flat.new_empty(shape)
