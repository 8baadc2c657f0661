"""The synthetic catalogue as a data set, rendered as it is read."""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np

from edgekit.data.catalog import Catalog
from edgekit.data.image_files import LeftOut
from edgekit.data.images import preprocess
from edgekit.distillation.sources.base import Column, codes_of
from edgekit.errors import UsageError
from edgekit.recipe import InputSpec
from edgekit.recipe.training import CatalogData

__all__ = ["CatalogSource"]

ATTRIBUTES = ("category", "fine_category", "color", "material", "pattern")


class CatalogSource:
    """Photos of the synthetic catalogue, photo by photo within a listing; labels are its listings' attributes.

    Raises UsageError for a label that the catalogue does not have.
    """

    chunks = None
    left_out = LeftOut()

    def __init__(self, name: str, data: CatalogData, labels: dict[str, str]) -> None:
        unknown = [field for field in labels.values() if field not in ATTRIBUTES]
        if unknown:
            raise UsageError(f"data {name}: the catalogue has no {unknown[0]!r}; it has {', '.join(ATTRIBUTES)}")
        self.name, self._data, self._fields = name, data, dict(labels)
        count = len(data.photos)
        self.listings = np.repeat(np.arange(data.start, data.start + data.listings, dtype=np.int64), count)

    def __len__(self) -> int:
        return self._data.listings * len(self._data.photos)

    def _catalog(self, size: int) -> Catalog:
        data = self._data
        return Catalog(data.start + data.listings, 1, seed=data.seed, size=size, split=data.split)

    @cached_property
    def labels(self) -> dict[str, Column]:
        """A Column of each attribute that a task is given for."""
        if not self._fields:
            return {}
        catalog, data = self._catalog(16), self._data
        rows = [catalog.listing(index) for index in range(data.start, data.start + data.listings)]
        columns = {task: codes_of([getattr(row, field) for row in rows]) for task, field in self._fields.items()}
        count = len(data.photos)
        return {task: Column(np.repeat(column.codes, count), column.names) for task, column in columns.items()}

    def photo_name(self, index: int) -> str:
        """What people call photo `index`."""
        listing, photo = divmod(index, len(self._data.photos))
        return f"listing-{self._data.start + listing:06d}/photo-{self._data.photos[photo]}"

    def read(self, index: int, size: tuple[int, int]) -> np.ndarray:
        """Photo `index` as uint8 [H,W,3]; see `Source.read`."""
        listing, photo = divmod(index, len(self._data.photos))
        image = self._catalog(max(size)).render(self._data.start + listing, self._data.photos[photo])
        if image.shape[:2] == size:
            return image
        return preprocess(image, InputSpec(size=size, crop_pct=1.0, crop_mode="squash"))

    def digest(self) -> str:
        """sha256 over all that can change what is read."""
        data = self._data
        facts = f"{self._catalog(32).digest()} {data.start} {data.photos} {sorted(self._fields.items())}"
        return hashlib.sha256(facts.encode()).hexdigest()
