"""Pictures of texts, each kept as a PNG under the hash of all that it follows from: a killed run draws none twice."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from edgekit.errors import InputError, OutputError
from edgekit.evaluation.generative.generators import Generator
from edgekit.evaluation.generative.queries import Query
from edgekit.support.files import write_atomically
from edgekit.support.progress import Reporter

__all__ = ["FOLDER", "check_languages", "draw_pictures", "write_table"]

FOLDER = "pictures"  # below the folder of a run


def check_languages(queries: Sequence[Query], generator: Generator) -> None:
    """Refuse queries in a language that the generator does not read, with InputError."""
    known = generator.languages
    if known is not None and (foreign := next((query for query in queries if query.language not in known), None)):
        count = sum(query.language not in known for query in queries)
        raise InputError(
            f"{count} of {len(queries)} texts are in languages that {generator.name} does not read, first "
            f"{foreign.language!r}; it reads {', '.join(known)}: take the others out, or give another `generator`",
            field="queries",
        )


def draw_pictures(queries: Sequence[Query], generator: Generator, out: Path, reporter: Reporter) -> list[str | None]:
    """The path in out/pictures of each query's picture; None where the generator does not understand the text.

    One that is kept but damaged is drawn again.

    Raises:
        ModelError: a picture cannot be drawn.
        OutputError: it cannot be written.
    """
    names: list[str | None] = []
    with reporter.stage(f"draw {len(queries)} pictures") as tick:
        for count, query in enumerate(queries, start=1):
            names.append(_drawn(query, generator, out / FOLDER))
            tick(count, len(queries))
    return names


def _drawn(query: Query, generator: Generator, folder: Path) -> str | None:
    facts = f"{generator.key}\0{query.language}\0{query.text}"
    digest = hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()
    name = f"{digest[:2]}/{digest[2:32]}.png"  # many folders, as each write looks for what is left of others in its own
    if _is_whole(folder / name):
        return name
    pixels = generator.draw(query.text, query.language)
    if pixels is None:
        return None
    try:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); give another `out`", field="out") from error
    write_atomically(folder / name, _png(pixels))
    return name


def _is_whole(path: Path) -> bool:
    """Whether a picture is there whose every chunk has its checksum."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True


def _png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def write_table(queries: Sequence[Query], names: Sequence[str | None], out: Path) -> Path:
    """The queries that have a picture as a table that `edgekit embed` takes; one that is there already stays."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("id", "path", "language"))
    for query, name in zip(queries, names, strict=True):
        if name is not None:
            writer.writerow((query.id, f"{FOLDER}/{name}", query.language))
    text = stream.getvalue()
    path = out / f"queries-{hashlib.sha256(text.encode()).hexdigest()[:16]}.csv"
    if not path.is_file():
        write_atomically(path, text)
    return path
