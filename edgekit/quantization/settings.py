"""What is asked of quantization: how, on which images, and for a whole request of which model and to where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import UsageError
from edgekit.quantization.observers import OBSERVERS
from edgekit.quantization.schemes import AUTO, SCHEMES, choices
from edgekit.recipe import Recipe, resolve_model
from edgekit.support.fields import Converted, OptionalPath, PathField, check_number, optional_path

__all__ = ["QuantizeRequest", "Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to quantize, and on which images.

    The limits are for the scheme `auto`, on images that no range was taken from.

    Raises:
        UsageError: there is no such scheme or observer, or a budget of size for one that has a size of its own.
    """

    scheme: str = AUTO
    images: OptionalPath = Converted(optional_path, None)  # None: the synthetic catalogue's training split
    samples: int = 128
    observer: str | None = None  # None: the best one for each tensor where the plan is searched for, else mse
    min_cosine: float = 0.99
    max_recall_drop: float = 0.3  # points of recall@10
    max_size: float | None = None  # bytes of the weights over those of float32, where a target has palettes

    def __post_init__(self) -> None:
        check_number("samples", self.samples, 1)
        check_number("min_cosine", self.min_cosine, -1, 1, whole=False)
        check_number("max_recall_drop", self.max_recall_drop, 0, 100, whole=False)
        if self.scheme not in choices():
            raise UsageError(f"no scheme {self.scheme!r}; choose from {', '.join(choices())}", field="scheme")
        if self.observer is not None and self.observer not in OBSERVERS:
            raise UsageError(f"no observer {self.observer!r}; choose from {', '.join(OBSERVERS)}", field="observer")
        if self.max_size is not None and self.scheme != AUTO:
            sizes = ", ".join(f"{row.key} {row.weight_bits / 32:.2g}" for row in SCHEMES.values() if row.choice)
            raise UsageError(
                f'`max_size` is for `scheme="auto"`; each other scheme has about its own share of float32: {sizes}',
                field="max_size",
            )


@dataclass(frozen=True, kw_only=True)
class QuantizeRequest(Settings):
    """What to quantize, and where the plan goes."""

    recipe: Converted[Recipe | Path | str | None, Recipe] = Converted(resolve_model)
    out: PathField = Converted(Path)
