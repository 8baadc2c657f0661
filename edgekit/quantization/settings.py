"""How to quantize, and on which images: what a command, an export or a test asks for."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.quantization.plan import Asked
from edgekit.support.fields import Converted, OptionalPath, optional_path

__all__ = ["Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to quantize, and on which images.

    The limits are for the scheme `auto`, on images that no range was taken from.
    """

    scheme: Asked = "auto"
    images: OptionalPath = Converted(optional_path, None)  # None: the synthetic catalogue's training split
    samples: int = 128
    observer: str | None = None  # None: the best one for each tensor where the plan is searched for, else mse
    min_cosine: float = 0.99
    max_recall_drop: float = 0.3  # points of recall@10
    max_size: float | None = None  # bytes of the weights over those of float32, where a target has palettes
