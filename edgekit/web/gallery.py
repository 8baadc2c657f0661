"""The photos that are searched: embedded by the artifact, and as small JPEGs without what their files say of them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from edgekit.data.images import load_image
from edgekit.embedding.about import CODES
from edgekit.embedding.file import read_embeddings
from edgekit.embedding.run import EmbedRequest, EmbedResult, embed
from edgekit.embedding.sources import Item, Source
from edgekit.support.progress import Reporter
from edgekit.support.text import shown
from edgekit.support.threads import in_turn

__all__ = ["SIDE", "Embedded", "Sample", "embed_photos", "thumbnail", "thumbnail_name", "write_thumbnails"]

SIDE: Final = 256  # pixels of a thumbnail's longer side
_QUALITY: Final = 80
_STORED: Final = {"float32": "<f4", "float16": "<f2", "int8": "i1"}
_PART: Final = 64  # items at once


class Embedded(NamedTuple):
    """What came of the photos: ids, and rows as they are stored."""

    ids: Sequence[str]
    codes: bytes
    result: EmbedResult


class Sample(NamedTuple):
    """A photo whose file is kept for the comparison with a browser: its name for people, and a copy."""

    name: str
    file: Path


def embed_photos(request: EmbedRequest, reporter: Reporter) -> Embedded:
    """Embed all photos as `edgekit embed` does.

    Raises:
        EdgeKitError: as `edgekit.embedding.run.embed` does.
    """
    try:
        result = embed(request, reporter)
    except KeyboardInterrupt:  # of a file for this run alone, which does not go on from there
        raise KeyboardInterrupt from None
    file = read_embeddings(request.out)
    values = file.values if result.about.dtype != "int8" else np.rint(file.values * CODES)
    return Embedded(file.ids, np.ascontiguousarray(values.astype(_STORED[result.about.dtype])).tobytes(), result)


def thumbnail_name(number: int) -> str:
    """Of the photo of that row. What people call the photo is in no path."""
    return f"{number:05d}.jpg"


def thumbnail(data: bytes, name: str) -> bytes:
    """An image file as a JPEG of at most SIDE pixels, upright, without EXIF, place, profile or comment.

    Raises:
        InputError: it cannot be read.
    """
    from PIL import Image

    image = Image.fromarray(load_image(data, max_side=SIDE, name=name))
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return stream.getvalue()


def write_thumbnails(
    source: Source, ids: Sequence[str], out: Path, samples: tuple[int, Path], reporter: Reporter
) -> list[Sample]:
    """Write the thumbnail of each photo of `ids`, which are in the source's order, to `out`; and of as many as
    `samples` says, spread evenly over all, the whole file to the folder that it names.

    Raises:
        EdgeKitError: a photo cannot be read any more, or nothing be written.
    """
    most, folder = samples
    picked = {int(row) for row in np.linspace(0, len(ids) - 1, min(most, len(ids))).round()}
    kept: list[Sample] = []

    def write(numbered: tuple[int, Item]) -> tuple[int, str]:
        row, item = numbered
        name = shown(item.id)
        data = item.photo.content(name)
        (out / thumbnail_name(row)).write_bytes(thumbnail(data, name))
        if row in picked:
            (folder / str(row)).write_bytes(data)
        return row, name

    with reporter.stage(f"write {len(ids)} thumbnails") as tick:
        for row, name in in_turn(write, _rows(source, ids)):
            if row in picked:
                kept.append(Sample(name, folder / str(row)))
            tick(row + 1, len(ids))
    return kept


def _rows(source: Source, ids: Sequence[str]) -> Iterator[tuple[int, Item]]:
    """Each item that was embedded, with the number of its row."""
    row = 0
    for start in range(0, len(source), _PART):
        for item in source.part(start, start + _PART):
            if row < len(ids) and item.id == ids[row]:
                yield row, item
                row += 1
