"""The tensors inside an `.mlpackage`, as the Core ML reference runtime computes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgekit.targets.base import Value

__all__ = ["values"]

_MOVED = frozenset({"cast"})  # the same numbers in another type


def values(path: Path, image: np.ndarray) -> Iterator[Value]:
    """Every tensor that the program makes of one uint8 [H,W,3] image, in the order in which it makes them."""
    from edgekit import mil

    model = mil.load(path)
    (port,) = model.inputs
    given = image if port.kind == "image" else image.transpose(2, 0, 1)[None].astype(np.float32)
    for kind, name, tensor in model.watch({port.name: given}):
        if kind not in _MOVED:
            yield Value(name, kind, tensor)
