"""The images an export is checked on: a folder, or the synthetic catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

from edgekit.data.catalog import Catalog
from edgekit.data.image_files import LeftOut
from edgekit.data.images import Folder, Picture, preprocess
from edgekit.recipe import InputSpec
from edgekit.support.progress import Reporter

__all__ = ["SAMPLES", "CatalogPictures", "Pictures", "a_few", "pictures", "tell_skipped"]

SAMPLES = 64  # photos of the catalogue where nobody says how many

_NAMED = 3
_PHOTOS = 2  # a listing: with fewer there is nothing to retrieve


class Pictures(Protocol):
    """A data set that can be read again and again, in the same order; images are uint8 [H,W,3] ready for the model."""

    @property
    def name(self) -> str: ...
    @property
    def left_out(self) -> LeftOut:
        """Images of kinds that are not read here."""
        ...

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Picture]: ...
    def digest(self) -> str: ...


class CatalogPictures:
    """Photos of the synthetic catalogue, two a listing, rendered as they are read; the label is the listing."""

    def __init__(
        self, samples: int, spec: InputSpec, *, split: Literal["test", "train"] = "test", seed: int = 0
    ) -> None:
        self.left_out = LeftOut()
        self._samples, self._spec, self._split, self._seed = samples, spec, split, seed
        self._catalog = Catalog(-(-samples // _PHOTOS), _PHOTOS, seed=seed, size=max(spec.size), split=split)
        self.name = f"synthetic catalogue ({split} split, seed {seed})"

    def __len__(self) -> int:
        return self._samples

    def __iter__(self) -> Iterator[Picture]:
        # The catalogue renders at the model's own size, so only an oblong input has anything left to scale.
        whole = self._spec.model_copy(update={"crop_pct": 1.0, "crop_mode": "squash"})
        for index in range(self._samples):
            photo = self._catalog[index]
            yield Picture(photo.name, str(photo.listing), preprocess(photo.image, whole))

    def first(self, samples: int) -> CatalogPictures:
        """The first photos of the same catalogue."""
        return CatalogPictures(samples, self._spec, split=self._split, seed=self._seed)

    def digest(self) -> str:
        return self._catalog.digest()


def pictures(images: Path | None, samples: int, spec: InputSpec, reporter: Reporter) -> Pictures:
    """The images under a folder, or `samples` of the synthetic catalogue where no folder is given.

    Images of kinds that are not read here are told to `reporter`.

    Raises:
        InputError: the folder is missing, holds no image, or over half of its images are of such kinds.
    """
    if images is None:
        return CatalogPictures(samples, spec)
    folder = Folder(images, spec)
    if folder.left_out.names:
        reporter.note(folder.left_out.line(folder.name))
    return folder


def a_few(data: Pictures, most: int | None) -> Pictures:
    """At most so many of the images: the first photos of the catalogue, or pairs of neighbours spread over a folder.

    None: all of them.
    """
    if most is None or len(data) <= most:
        return data
    if isinstance(data, CatalogPictures):
        return data.first(most)
    assert isinstance(data, Folder)
    pairs, last = max(most // 2, 1), len(data) - 2
    starts = [last * index // max(pairs - 1, 1) for index in range(pairs)]
    chosen = {data.names[place] for start in starts for place in (start, start + 1)}
    return data.only(chosen, f"{len(chosen)} of {len(data)} images")


def tell_skipped(data: Pictures, reporter: Reporter) -> None:
    """Say which images of `data`, once it was read, could not be decoded."""
    skipped = getattr(data, "skipped", [])
    if skipped:
        first = "; ".join(f"{name}: {reason}" for name, reason in skipped[:_NAMED])
        more = "; ..." if len(skipped) > _NAMED else ""
        reporter.note(f"{data.name}: {len(skipped)} of {len(data)} images cannot be read: {first}{more}")
