"""What is evaluated: files of embeddings, or data and a model. The one place that turns what a request names into
vectors and columns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from edgekit.embedding.file import EmbeddingFile, holds_embeddings, read_embeddings
from edgekit.embedding.run import EmbedRequest, embed
from edgekit.errors import InputError, OutputError, UsageError
from edgekit.evaluation.galleries import Gallery, gallery_of, int8_gallery
from edgekit.evaluation.tasks import Side
from edgekit.recipe import Recipe
from edgekit.support.drafts import scratch
from edgekit.support.fields import AnyPath
from edgekit.support.progress import Reporter
from edgekit.support.text import shown

__all__ = ["Embedded", "Inputs", "open_embedded", "rows_of_ids"]

_NAMED = 3


@dataclass(frozen=True, eq=False)
class Embedded:
    """One file of embeddings, opened and checked; its vectors are read when they are asked for."""

    file: EmbeddingFile
    name: str  # of the file, or of the data that it was made from; safe to show

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


class Inputs:
    """Opens what a request names. Data are embedded into temporary files, which live as long as the `with` block."""

    def __init__(self, model: Recipe | AnyPath | None, workers: int | None, reporter: Reporter) -> None:
        self._model, self._workers, self._reporter = model, workers, reporter
        self._stack = ExitStack()
        self._folder: Path | None = None
        self._made = 0
        self._idle = model is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def rows(self, given: AnyPath, field: str) -> Embedded:
        """What `field` names: a file of embeddings, or data, which the request's `model` embeds.

        Raises:
            UsageError: it is data, and there is no model.
            InputError: it is damaged, or has a row that is no embedding.
            ModelError: the model gives no embeddings.
        """
        if holds_embeddings(given):
            return self._read(Path(given), shown(Path(given).name, 80))
        if self._model is None:
            raise UsageError(
                f"`{field}` is {shown(str(given), 200)}, not a .parquet file of embeddings; give the `model` that "
                "embeds it, or make such a file with `edgekit embed`",
                field=field,
            )
        self._idle = False
        return self._embed(given, self._model)

    def check_model(self) -> None:
        """Raise UsageError where the request has a model, and all that `rows` was given are files of embeddings."""
        if self._idle:
            raise UsageError(
                "`model` has nothing to embed, as files of embeddings are given; leave it out, or give photos",
                field="model",
            )

    def check_data(self, data: AnyPath | None) -> None:
        """Raise UsageError where a request has data, and all that `rows_by` was given are files of embeddings."""
        if data is not None and not self._made:
            raise UsageError(
                f"`data` is {shown(str(data), 120)}, which nothing embeds, as files of embeddings are given; leave it "
                "out, or give models",
                field="data",
            )

    def rows_by(self, given: Recipe | AnyPath, field: str, data: AnyPath | None) -> Embedded:
        """What `field` names: a file of embeddings, or a model or artifact, which embeds `data`.

        Raises:
            UsageError: it is no file of embeddings, and there are no data, or such a file in their place.
            EdgeKitError: as for `rows`.
        """
        if not isinstance(given, Recipe) and holds_embeddings(given):
            return self._read(Path(given), shown(Path(given).name, 80))
        name = given.name if isinstance(given, Recipe) else str(given)
        if data is None or holds_embeddings(data):
            lacks = "there are no photos" if data is None else f"{shown(str(data), 120)} holds no photos"
            raise UsageError(
                f"`{field}` is {shown(name, 120)}, not a .parquet file of embeddings, and {lacks} to embed with it; "
                "give photos, or a file that `edgekit embed` made of them",
                field=field,
            )
        return self._embed(data, given)

    def _embed(self, data: AnyPath, model: Recipe | AnyPath) -> Embedded:
        if self._folder is None:
            self._folder = self._stack.enter_context(scratch())
        self._made += 1
        out = self._folder / f"{self._made}.parquet"
        try:
            result = embed(EmbedRequest(data, model, out, workers=self._workers), self._reporter)
        except KeyboardInterrupt:  # whose words promise to go on from a folder that is gone by then
            raise KeyboardInterrupt from None
        except OutputError as error:
            told = str(error).partition(";")[0]
            raise OutputError(f"{told}; make room in TMPDIR, or set it to another folder") from error
        if result.skipped:
            name, reason = result.skipped[0]
            self._reporter.note(f"{len(result.skipped)} images are skipped, first {name}: {reason}")
        model_name = model.name if isinstance(model, Recipe) else Path(model).name
        return self._read(out, shown(str(data), 80), f"{data} by {model_name}")

    def _read(self, path: Path, name: str, long: str | None = None) -> Embedded:
        with self._reporter.stage(f"read the embeddings of {name}"):
            return open_embedded(path, name, long)


def open_embedded(path: Path, name: str | None = None, long: str | None = None) -> Embedded:
    """Open a file of embeddings, which is called `name` where its own says little, and `long` in errors.

    Raises:
        InputError: it is damaged, or has a row that is no embedding.
    """
    return Embedded(read_embeddings(path, long), shown(path.name, 80) if name is None else name)


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
