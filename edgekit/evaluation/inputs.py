"""What is evaluated: files of embeddings. The one place that turns what a request names into vectors and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edgekit.embedding.file import EmbeddingFile, read_embeddings
from edgekit.errors import InputError, UsageError
from edgekit.evaluation.galleries import Gallery, gallery_of, int8_gallery
from edgekit.evaluation.tasks import Side
from edgekit.support.text import shown

__all__ = ["Embedded", "open_embedded", "rows_of_ids"]

_NAMED = 3


@dataclass(frozen=True, eq=False)
class Embedded:
    """One file of embeddings, opened and checked; its vectors are read when they are asked for."""

    file: EmbeddingFile

    @property
    def name(self) -> str:
        """The file's name, safe to show."""
        return shown(self.file.path.name, 80)

    @property
    def model(self) -> str:
        """The model that made it, where the file says so."""
        about = self.file.about
        return "unknown" if about is None else f"{shown(about.model.name, 80)} ({shown(about.model.kind, 40)})"

    @property
    def sha256(self) -> str | None:
        """The hash of that model."""
        return None if self.file.about is None else self.file.about.model.sha256

    @cached_property
    def side(self) -> Side:
        """Its ids and columns."""
        return Side(self.name, self.file.ids, self.file.columns)

    @property
    def values(self) -> np.ndarray:
        """float32 [N,D]."""
        return self.file.values

    def gallery(self, form: str, rows: np.ndarray) -> Gallery:
        """Some rows in a form of `galleries.FORMS`; the codes of an int8 file stay codes where the form is plain."""
        scale = None if self.file.about is None else self.file.about.scale
        if form == "plain" and scale is not None:
            return int8_gallery(_picked(self._codes(scale), rows), scale)
        return gallery_of(form, _picked(self.values, rows))

    def _codes(self, scale: float) -> np.ndarray:
        codes, at = np.empty((len(self.file), self.file.dim), np.int8), 0
        for batch in self.file.iter_batches():
            codes[at : at + len(batch.ids)] = np.rint(batch.values / np.float32(scale))
            at += len(batch.ids)
        return codes


def open_embedded(given: Path, field: str) -> Embedded:
    """Open what a request names in `field`.

    Raises:
        UsageError: it is no file of embeddings by its name.
        InputError: it is damaged, or has a row that is no embedding.
    """
    if given.suffix != ".parquet":
        raise UsageError(
            f"`{field}` is {shown(str(given), 200)}, not a .parquet file of embeddings; make one with `edgekit embed`",
            field=field,
        )
    return Embedded(read_embeddings(given))


def rows_of_ids(wanted: Sequence[str], other: Embedded, asked_by: str) -> np.ndarray:
    """Where the ids stand in `other`, int64 [N].

    Raises:
        InputError: some are not there; says how many, and names the first.
    """
    place = {id: row for row, id in enumerate(other.side.ids)}
    missing = [id for id in wanted if id not in place]
    if missing:
        first = ", ".join(repr(shown(id, 60)) for id in missing[:_NAMED])
        raise InputError(
            f"{other.name}: {len(missing)} of {len(wanted)} ids of {asked_by} are not in it, first {first}; embed the "
            "same items with both models"
        )
    return np.array([place[id] for id in wanted], np.int64)


def _picked(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Some rows; the array itself where they are all, which are not held twice then."""
    return values if len(rows) == len(values) and (rows == np.arange(len(values))).all() else values[rows]
