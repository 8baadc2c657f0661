"""A habit that pytest would rewrite in a file of tests."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def asserts(self: Any, image: Tensor) -> Tensor:
    """Checks a value on the way."""
    found: Tensor = self.stem(image)
    assert found.max() < 1e9, "too large"
    return found
