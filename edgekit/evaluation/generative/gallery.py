"""What is searched: photos that each model embeds, or a file of one model's embeddings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.embedding.file import holds_embeddings
from edgekit.embedding.sources import Source, open_source
from edgekit.embedding.sources.catalog import CatalogSource
from edgekit.embedding.subject import Opened
from edgekit.errors import InputError
from edgekit.evaluation.inputs import Embedded, open_embedded
from edgekit.recipe import InputSpec
from edgekit.support.text import shown

__all__ = ["Shelf", "open_shelf", "photos_of"]

_AT_ONCE = 256  # rows


@dataclass(frozen=True, eq=False)
class Shelf:
    """A gallery: `source` where its photos are there to be embedded, else the file of their embeddings."""

    data: str
    name: str
    source: Source | None
    file: Embedded | None

    @property
    def catalog(self) -> CatalogSource | None:
        """The catalogue, where it is that."""
        return self.source if isinstance(self.source, CatalogSource) else None

    def check_model(self, opened: Sequence[Opened], *, other_models: bool) -> None:
        """Refuse models that did not make the file of embeddings, where the gallery is one.

        Raises:
            InputError: they did not, and `other_models` does not say that they share its space.
        """
        if self.file is None or other_models:
            return
        about = self.file.file.about
        for one in opened:
            if about is None or about.model.sha256 != one.model.sha256:
                raise InputError(
                    f"{self.name}: was not embedded by {shown(one.model.name, 60)} (it says: {self.file.model}); embed "
                    "it with that model, or give `other_models=True` if they share a space",
                    field="other_models",
                )


def open_shelf(data: str) -> Shelf:
    """Open a file of embeddings, or what `open_source` takes.

    Raises:
        InputError: it cannot be read.
        UsageError: it asks for what there is not.
    """
    if holds_embeddings(data):
        file = open_embedded(Path(data))
        return Shelf(data, file.name, None, file)
    source = open_source(data)
    return Shelf(data, source.name, source, None)


def photos_of(source: Source, ids: Collection[str]) -> dict[str, np.ndarray]:
    """The photos uint8 [H,W,3] of some ids, as a model of the usual size sees them whole; those unread are left out."""
    spec, found = InputSpec(crop_pct=1.0, crop_mode="border"), dict[str, np.ndarray]()
    for start in range(0, len(source), _AT_ONCE):
        for item in source.part(start, start + _AT_ONCE):
            if item.id in ids:
                try:
                    found[item.id] = item.photo.read(spec, shown(item.id))
                except InputError:
                    continue
    return found
