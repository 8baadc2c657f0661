"""What every data set can do, however its photos are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgekit.data.image_files import LeftOut

__all__ = ["Column", "Source", "codes_of", "fit"]


@dataclass(frozen=True)
class Column:
    """Labels of one task: `codes` int32 [N] into `names`, -1 where a photo has no label."""

    codes: np.ndarray
    names: Sequence[str]


class Source(Protocol):
    """Photos by number, 0 to N-1, in an order that never changes."""

    @property
    def name(self) -> str:
        """What the recipe calls the data set."""

    @property
    def listings(self) -> np.ndarray:
        """int64 [N], equal for photos of one listing, -1 where unknown."""

    @property
    def labels(self) -> Mapping[str, Column]:
        """A Column for each task."""

    @property
    def chunks(self) -> np.ndarray | None:
        """None where any photo can be read as cheaply as any other, else int64 [C+1].

        Chunk c holds the photos chunks[c] to chunks[c+1], and reads should follow their order within it.
        """

    @property
    def left_out(self) -> LeftOut:
        """Images of kinds that are not read here; over half of all is an InputError when the source is opened."""

    def __len__(self) -> int: ...
    def photo_name(self, index: int) -> str:
        """What people call photo `index`: a path or key, printable."""

    def read(self, index: int, size: tuple[int, int]) -> np.ndarray:
        """Photo `index` as uint8 [H,W,3] RGB, scaled and centre-cropped to `size` (height, width) pixels.

        Safe to call in a forked or spawned worker. Raises InputError where the image cannot be read.
        """

    def digest(self) -> str:
        """sha256 (hex) over all that can change what is read: names, bytes, labels."""


def codes_of(values: Sequence[str | None]) -> Column:
    """A Column of text labels; None is a missing label. Names are in sorted order."""
    names = sorted({value for value in values if value is not None})
    place = {name: index for index, name in enumerate(names)}
    return Column(np.array([-1 if value is None else place[value] for value in values], np.int32), names)


def fit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest centred part of uint8 [H,W,3] with the proportions of `size`, scaled to it: uint8 [height,width,3].

    As `edgekit.data.images.preprocess` with crop_pct 1, within a few levels of 255: torch scales an image about three
    times as fast as Pillow, whose pixels evaluation must agree with and training need not.
    """
    import torch
    from torch.nn import functional as F

    height, width = image.shape[:2]
    ratio = min(height / size[0], width / size[1])
    high, wide = max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))
    top, left = round((height - high) / 2), round((width - wide) / 2)
    part = image[top : top + high, left : left + wide]
    if part.shape[:2] == size:
        return np.ascontiguousarray(part)
    pixels = torch.from_numpy(np.ascontiguousarray(part)).permute(2, 0, 1)[None]
    scaled = F.interpolate(pixels, size, mode="bicubic", antialias=True)
    return scaled[0].permute(1, 2, 0).contiguous().numpy()
