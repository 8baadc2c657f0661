"""A CSV or Parquet table with an id a row, and the path of an image or the image itself."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekit.data.image_files import LeftOut
from edgekit.data.tables import absent, check_commas, check_footer, inside, read_table
from edgekit.embedding.checks import check_ids, is_text
from edgekit.embedding.file import need_arrow
from edgekit.embedding.sources.base import FilePhoto, InlinePhoto, Item, Photo, fingerprint
from edgekit.errors import InputError
from edgekit.support.text import reason_of, shown

__all__ = ["TableSource", "is_table"]

_KEPT = 32  # rows whose images are held at once


def is_table(text: str) -> bool:
    """Whether that is the name of a table."""
    return text.lower().endswith((".csv", ".parquet"))


class TableSource:
    """The rows of a table with the column `id`, and `path` (relative to the table's folder) or, in Parquet, `image`,
    the bytes of an image file; its other columns of text are kept.

    Raises InputError for a table that is missing, damaged or empty, and for a path that leaves its folder.
    """

    left_out = LeftOut()  # a row of such a kind is refused
    skipped = ()

    def __init__(self, text: str) -> None:
        self._table = table = Path(text)
        self._root = table.absolute().parent.resolve()
        self.name = shown(table.name)
        try:
            names, texts, self._image = _header(table)
            check_commas(names, ["id"])
            if "id" not in names:
                raise absent("column", "id", names)
            if self._image is None and "path" not in names:
                raise absent("column", "path", names)
            self.columns = tuple(name for name in texts if name not in ("id", "path", "image", "embedding"))
            self._read()
            check_ids(self._ids, 0)
        except InputError as error:
            raise InputError(f"{shown(text)}: {error}") from None
        self._cells: Iterator[Any] = iter(())
        self._at = len(self)

    def _read(self) -> None:
        """Take ids, paths and texts, which are held for all rows."""
        first = "path" if self._image is None else "id"
        paths, texts = read_table(self._table, first, ["id", *self.columns][first == "id" :], ())
        ids = texts.pop("id") if first == "path" else paths
        self._ids = [text or "" for text in ids]
        self._texts = [texts[name] for name in self.columns]
        self._paths: list[str] = []
        if first == "path":
            self._paths = [inside(text, row, "path") for row, text in enumerate(paths, start=1)]

    def __len__(self) -> int:
        return len(self._ids)

    def part(self, start: int, stop: int) -> list[Item]:
        """See `Source`."""
        stop = min(stop, len(self))
        photos: list[Photo]
        if self._image is None:
            photos = [FilePhoto(self._root, path) for path in self._paths[start:stop]]
        else:
            photos = [InlinePhoto(data) for data in self._images(start, stop)]
        rows = range(start, start + len(photos))
        return [
            Item(self._ids[row], photo, tuple(texts[row] or "" for texts in self._texts))
            for row, photo in zip(rows, photos, strict=True)
        ]

    def _images(self, start: int, stop: int) -> list[bytes]:
        """The images of some rows; those before are passed over without being copied."""
        if start < self._at:
            self._cells, self._at = self._stream(), 0
        try:
            cells = list(itertools.islice(self._cells, start - self._at, stop - self._at))
            self._at = stop
            return [cell.as_py() or b"" for cell in cells]
        except Exception as error:  # pyarrow's own, of any kind, on hostile bytes
            raise InputError(f"{shown(str(self._table))}: damaged ({reason_of(error, 160)}); write it again") from None

    def _stream(self) -> Iterator[Any]:
        with need_arrow().ParquetFile(self._table, pre_buffer=False, buffer_size=1 << 20) as file:
            for batch in file.iter_batches(batch_size=_KEPT, columns=[self._image], use_threads=False):
                column = batch.column(0)
                yield from column.field("bytes") if self._image == "image.bytes" else column

    def fingerprint(self) -> str:
        """See `Source`."""
        return fingerprint(self.columns, [self._table, *(self._root / path for path in self._paths)])


def _header(table: Path) -> tuple[list[str], list[str], str | None]:
    """The names of all columns and of those of text, and the column that holds images, if one does."""
    if not table.is_file():
        raise InputError("not a regular file; give a file" if table.exists() else "no such file")
    if table.suffix.lower() == ".csv":
        try:
            with open(table, encoding="utf-8-sig", newline="") as stream:
                names = next(csv.reader(stream, strict=True), [])
        except (OSError, ValueError, csv.Error) as error:
            raise InputError(f"not CSV in UTF-8 ({reason_of(error, 160)}); save it again") from None
        return names, names, None
    parquet = need_arrow()
    import pyarrow as pa

    try:
        with parquet.ParquetFile(table) as file:
            check_footer(file.metadata)
            schema = file.schema_arrow
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"damaged, or not Parquet ({reason_of(error, 160)}); write it again") from None
    texts = [name for name in schema.names if is_text(schema.field(schema.names.index(name)).type)]
    if "id" in schema.names and "id" not in texts:
        raise InputError(f"column 'id' is of type {schema.field('id').type}, but ids are text; convert them")
    image = _image_column(schema)
    if image is None and schema.names.count("image") == 1 and "path" not in schema.names:
        kind = shown(str(schema.field("image").type), 60)
        raise InputError(
            f"column 'image' is of type {kind}, but images are the bytes of a file, or a struct that has them as "
            "bytes; convert it, or give their names in a column path"
        )
    return schema.names, texts, image


def _image_column(schema: Any) -> str | None:
    from pyarrow import types

    if schema.names.count("image") != 1:
        return None
    kind = schema.field("image").type
    if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:  # as the library `datasets` writes images
        return "image.bytes"
    held = types.is_binary(kind) or types.is_large_binary(kind) or str(kind) == "binary_view"
    return "image" if held else None
