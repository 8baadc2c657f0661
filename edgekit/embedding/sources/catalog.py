"""The synthetic catalogue, rendered as it is embedded."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import numpy as np

from edgekit.data.catalog import Catalog
from edgekit.data.catalog.backdrops import STYLES
from edgekit.data.image_files import LeftOut
from edgekit.data.images import preprocess
from edgekit.embedding.sources.base import Item
from edgekit.errors import UsageError
from edgekit.recipe import InputSpec

__all__ = ["CatalogSource", "is_catalog"]

_PHOTOS = 2  # a listing: one of the seller, one of a buyer
_DEFAULT = 200  # photos
_MOST = 10_000_000
_PROMOTED = 5  # one listing of so many is
_SIDE = 224  # pixels of a photo as a file
_NAME = re.compile(r"catalog(?::(\d{1,9}))?", re.ASCII)


def is_catalog(text: str) -> bool:
    """Whether that is `catalog`, or `catalog:2000`."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True)
class _Rendered:
    listing: int
    photo: int

    def read(self, spec: InputSpec, name: str) -> np.ndarray:
        # The catalogue renders at the model's own size, so only an oblong input has anything left to scale.
        image = Catalog(self.listing + 1, _PHOTOS, size=max(spec.size)).render(self.listing, self.photo)
        return preprocess(image, spec.model_copy(update={"crop_pct": 1.0, "crop_mode": "squash"}))

    def content(self, name: str) -> bytes:
        """See `Photo`."""
        from PIL import Image

        stream = io.BytesIO()
        photo = Catalog(self.listing + 1, _PHOTOS, size=_SIDE).render(self.listing, self.photo)
        Image.fromarray(photo).save(stream, "PNG")
        return stream.getvalue()


class CatalogSource:
    """So many photos of the catalogue's test split, two a listing; the label is the listing; its attributes, whether
    it is promoted, and the style and the light of the photo are columns.

    Raises UsageError for a number that is none of photos.
    """

    columns = ("label", "category", "fine_category", "color", "material", "pattern", "promoted", "style", "light")
    left_out = LeftOut()
    skipped = ()

    def __init__(self, text: str) -> None:
        match = _NAME.fullmatch(text)
        assert match is not None
        self._count = int(match[1] or _DEFAULT)
        if not 1 <= self._count <= _MOST:
            raise UsageError(f"`data` is {text!r}; the catalogue gives 1 to {_MOST} photos", field="data")
        self.catalog = Catalog(-(-self._count // _PHOTOS), _PHOTOS, size=16)
        self.name = f"synthetic catalogue (test split, seed 0, {self._count} photos)"

    def __len__(self) -> int:
        return self._count

    def part(self, start: int, stop: int) -> list[Item]:
        """See `Source`."""
        return [self._item(*divmod(number, _PHOTOS)) for number in range(start, min(stop, self._count))]

    def _item(self, number: int, photo: int) -> Item:
        listing, style = self.catalog.listing(number), STYLES[photo % len(STYLES)]
        attributes = (str(getattr(listing, name)) for name in self.columns[1:-3])
        promoted = "no" if number % _PROMOTED else "yes"
        texts = (listing.id, *attributes, promoted, style, self.catalog.lighting(number, photo))
        return Item(f"{listing.id}/photo-{photo}-{style}.png", _Rendered(number, photo), texts)

    def fingerprint(self) -> str:
        """See `Source`."""
        return self.catalog.digest()
