"""Habits that pytest would rewrite in a file of tests."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def asserts(self: Any, image: Tensor) -> Tensor:
    """Checks a value on the way."""
    found: Tensor = self.stem(image)
    assert found.max() < 1e9, "too large"
    return found


def asserts_twice(self: Any, image: Tensor) -> Tensor:
    """Checks two values, one of them by two comparisons."""
    assert image.min() >= -5 and image.max().item() <= 500
    found: Tensor = self.stem(image)
    assert not torch.isnan(found).any()
    return found


def raises(self: Any, image: Tensor) -> Tensor:
    """Raises where an image is no image."""
    found: Tensor = self.stem(image)
    if torch.isnan(found).any():
        raise ValueError("nan")
    if not torch.isfinite(found).all() or found.abs().max() > 1e30:
        worst = found.abs().max()
        raise ValueError(f"up to {worst}")
    return found
