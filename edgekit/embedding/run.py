"""Embed data with a model or an artifact into a file: streamed, in many processes, and resumable."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from edgekit.data.image_files import LeftOut
from edgekit.embedding.about import CODES, About, Preprocessing
from edgekit.embedding.about import Dtype as Stored
from edgekit.embedding.engines import ENGINES
from edgekit.embedding.file import Rows, need_arrow, write_embeddings
from edgekit.embedding.journal import Journal
from edgekit.embedding.sources import Item, Source, open_source
from edgekit.embedding.subject import Opened, subject_of
from edgekit.errors import InputError, ModelError, UsageError
from edgekit.recipe import Recipe
from edgekit.support.fields import AnyPath, Converted, PathField, check_number
from edgekit.support.progress import Reporter, Silent
from edgekit.support.text import shown

__all__ = ["DTYPES", "Dtype", "EmbedRequest", "EmbedResult", "embed"]

Dtype = Literal["fp32", "fp16", "int8"]
DTYPES: Final[dict[Dtype, Stored]] = {"fp32": "float32", "fp16": "float16", "int8": "int8"}
_PARTS: Final = 2048  # that data are cut into, where that gives a part no fewer and no more images than these
_SMALLEST, _LARGEST = 16, 256
_SLACK: Final = 0.01  # of a length of 1: what half precision leaves of it
_FORMAT: Final = "1"  # of the parts, and of how images are read


@dataclass(frozen=True)
class EmbedRequest:
    """What to embed, with what, and to where."""

    data: Converted[AnyPath, str] = Converted(str)  # a folder, table, tar shards, or catalog:2000
    model: Recipe | AnyPath | None = None  # as for `resolve_model`, or an artifact
    out: PathField = Converted(Path, Path("embeddings.parquet"))
    dtype: Dtype = "fp32"  # how values are stored
    workers: int | None = None  # processes; None: one a core
    engine: str = "local"  # or ray
    overwrite: bool = False  # replace the file, and what an earlier run of other data or another model left
    allow_bare: bool = False  # also an artifact without a manifest

    def __post_init__(self) -> None:
        """Raises UsageError where a value is none of those that can be meant."""
        if self.workers is not None:
            check_number("workers", self.workers, 1, 1024)
        for field, allowed in (("dtype", list(DTYPES)), ("engine", list(ENGINES))):
            if (value := getattr(self, field)) not in allowed:
                raise UsageError(f"`{field}` is {value!r}; choose from {', '.join(allowed)}", field=field)
        if self.out.suffix != ".parquet":
            raise UsageError(f"{self.out}: embeddings are saved as .parquet; give `out` such a name", field="out")


@dataclass(frozen=True)
class EmbedResult:
    """What was written: `rows` of `images`; those of an earlier run that was stopped are `resumed`."""

    out: Path
    about: About
    images: int
    rows: int
    resumed: int  # images that an earlier run had dealt with
    skipped: Sequence[tuple[str, str]]  # by name and reason
    left_out: LeftOut  # images of kinds that are not read here
    seconds: float  # that this run took to embed

    @property
    def images_per_second(self) -> float:
        """Of those that this run embedded."""
        return (self.images - self.resumed) / max(self.seconds, 1e-9)


def embed(request: EmbedRequest, reporter: Reporter | None = None) -> EmbedResult:
    """Embed all that the request's data hold, in an order and with bytes that no number of workers changes.

    What is done is kept beside `out` until all is: the same request goes on from there after it was killed.

    Raises:
        UsageError: the request contradicts itself, `out` exists, or an earlier run of another kind was stopped there.
        InputError: the data or the model cannot be read, or over half of the images cannot.
        ModelError: the model gives no embeddings, or a process died.
        OutputError: the disk is full or not writable; what is done is kept.
    """
    reporter = reporter or Silent()
    _check_out(request.out, overwrite=request.overwrite)
    need_arrow()
    with reporter.stage(f"look at {shown(request.data)}"):
        source = open_source(request.data)
    if source.left_out.names:
        reporter.note(source.left_out.line(shown(request.data)))
    subject = subject_of(request.model, allow_bare=request.allow_bare)
    opened = subject.open(reporter)
    keys = {"model": _key_of(opened), "data": f"{source.fingerprint()} {_FORMAT}"}
    journal = Journal(request.out, keys, anew=request.overwrite)
    try:
        started, cuts = time.perf_counter(), _cuts(len(source))
        done = journal.done() & set(range(len(cuts)))
        before = sum(len(cuts[number]) for number in done)
        with reporter.stage(f"embed {len(source)} images") as tick:
            dealt = before
            tick(dealt, len(source))
            results = ENGINES[request.engine](subject, opened, _parts(source, cuts, done), request.workers)
            with closing(results):
                for number, part in results:
                    journal.write(number, part)
                    dealt += len(part.ids) + len(part.skipped)
                    tick(dealt, len(source))
        seconds = time.perf_counter() - started
        return _publish(request, source, opened, journal, (before, seconds))
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; what is done is kept, the same command goes on from there") from None
    finally:
        journal.close()


def _check_out(out: Path, *, overwrite: bool) -> None:
    if out.is_dir():
        raise UsageError(f"{out}: is a folder; give `out` the name of a file", field="out")
    if out.exists() and not overwrite:
        raise UsageError(f"{out}: exists; give another `out`, or replace it with `overwrite=True`", field="overwrite")


def _key_of(opened: Opened) -> str:
    return f"{opened.model.model_dump_json()} {opened.spec.model_dump_json()}"


def _cuts(images: int) -> list[range]:
    """The images of each part, which depend on their number alone: those in work are what a killed run loses."""
    size = min(max(images // _PARTS, _SMALLEST), _LARGEST)
    return [range(start, min(start + size, images)) for start in range(0, images, size)]


def _parts(source: Source, cuts: Sequence[range], done: set[int]) -> Iterator[tuple[int, list[Item]]]:
    for number, cut in enumerate(cuts):
        if number not in done:
            yield number, source.part(cut.start, cut.stop)


def _publish(
    request: EmbedRequest, source: Source, opened: Opened, journal: Journal, spent: tuple[int, float]
) -> EmbedResult:
    """Write the file of all parts, and let the journal go."""
    skipped, count = list(source.skipped), len(_cuts(len(source)))

    def rows() -> Iterator[Rows]:
        kept = 0
        for batch in journal.rows(count, source.columns, skipped):
            if request.dtype == "int8":
                _check_lengths(batch)
            kept += len(batch.ids)
            yield batch
        if (lost := len(skipped) + len(source.left_out.names)) > kept:
            journal.remove()
            first = f"{skipped[0][0]}: {skipped[0][1]}" if skipped else source.left_out.first[0]
            raise InputError(f"{shown(request.data)}: {lost} of {lost + kept} images cannot be read; {first}")

    batches = rows()
    first = next(batches)
    about = _about(request, source, opened, first.values.shape[1])
    written = write_embeddings(request.out, about, itertools.chain([first], batches), source.columns)
    journal.remove()
    return EmbedResult(
        out=request.out,
        about=about,
        images=len(source) + len(source.skipped),
        rows=written,
        resumed=spent[0],
        skipped=skipped,
        left_out=source.left_out,
        seconds=spent[1],
    )


def _about(request: EmbedRequest, source: Source, opened: Opened, dim: int) -> About:
    return About(
        model=opened.model,
        preprocessing=Preprocessing(**opened.spec.model_dump()),
        dim=dim,
        dtype=DTYPES[request.dtype],
        scale=1 / CODES if request.dtype == "int8" else None,
        source=source.name,
    )


def _check_lengths(rows: Rows) -> None:
    """Raise where a row is not of unit length, as its codes would not fit."""
    lengths = np.linalg.norm(rows.values, axis=1)
    worst = int(np.abs(lengths - 1).argmax())
    if abs(lengths[worst] - 1) > _SLACK:
        raise ModelError(
            f"the model gives embeddings of length {lengths[worst]:.4g} ({shown(rows.ids[worst])}), but int8 is for "
            'unit length; give `dtype="fp32"`',
            field="dtype",
        )
