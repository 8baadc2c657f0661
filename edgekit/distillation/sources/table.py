"""A CSV or Parquet table of image paths, listings and labels as a data set."""

from __future__ import annotations

import csv
import difflib
import hashlib
import json
import os
import posixpath
import re
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from edgekit.data.image_files import LeftOut, advice, is_unread, readable
from edgekit.data.images import load_image
from edgekit.distillation.sources.base import Column, codes_of, fit
from edgekit.errors import InputError, MissingDependencyError
from edgekit.support.files import sha256_file
from edgekit.support.text import reason_of, shown

__all__ = ["TableSource", "absent", "text_of"]

_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_FRACTION = re.compile(r"[+-]?(\d+\.\d*|\.\d+)", re.ASCII)


class TableSource:
    """One photo a row: an image path relative to `root`, the listing where a column names it, and labels.

    An empty or null cell is a missing label or an unknown listing. Raises InputError, one line that begins with
    `data NAME: `, for a table that is missing, damaged, empty or ragged, a column that is missing or mixes types, and
    a path that leaves `root` or is no image's; rows count from 1, after the header. Whether the images can be read
    shows in `read`. Raises MissingDependencyError for Parquet without pyarrow.
    """

    chunks = None
    left_out = LeftOut()  # a row of such a kind is refused

    def __init__(
        self, name: str, table: Path, root: Path, *, path: str, listing: str | None, labels: dict[str, str]
    ) -> None:
        self.name, self._path, self._listing, self._fields = name, path, listing, dict(labels)
        table, wanted = Path(table), [*labels.values()] if listing is None else [listing, *labels.values()]
        try:
            paths, columns = _read(table, path, list(dict.fromkeys(wanted)), set(labels.values()))
            if not os.path.isdir(root):
                raise InputError(f"the folder of its images, {shown(str(root))}, does not exist; set root")
            self._root = Path(root).resolve()
            self._names = [_inside(text, row, path) for row, text in enumerate(paths, start=1)]
        except InputError as error:
            raise InputError(f"data {name}: {shown(str(table))}: {error}") from None
        unknown = np.full(len(paths), -1, np.int64)
        self.listings = unknown if listing is None else codes_of(columns[listing]).codes.astype(np.int64)
        self.labels: dict[str, Column] = {task: codes_of(columns[column]) for task, column in labels.items()}

    def __len__(self) -> int:
        return len(self._names)

    def photo_name(self, index: int) -> str:
        """What people call photo `index`."""
        return shown(self._names[index])

    def _file(self, name: str) -> Path:
        try:
            file = (self._root / name).resolve()
        except (OSError, RuntimeError) as error:  # RuntimeError: links that point at each other
            raise InputError(f"{shown(name)}: cannot be opened ({shown(str(error))})") from None
        if not file.is_relative_to(self._root):
            raise InputError(f"{shown(name)}: a link that leaves {shown(str(self._root))}; copy the image there")
        return file

    def read(self, index: int, size: tuple[int, int]) -> np.ndarray:
        """Photo `index` as uint8 [H,W,3]; see `Source.read`."""
        name = self._names[index]
        image = load_image(self._file(name), name=name, max_side=max(size))
        return fit(image, size)

    def digest(self) -> str:
        """sha256 over all that can change what is read."""
        names = {task: list(column.names) for task, column in self.labels.items()}
        facts = [self._path, self._listing, sorted(self._fields.items()), sorted(names.items())]
        whole = hashlib.sha256(json.dumps(facts).encode())
        whole.update(self.listings.astype("<i8").tobytes())
        for _, column in sorted(self.labels.items()):
            whole.update(column.codes.astype("<i4").tobytes())
        for name in self._names:
            whole.update(hashlib.sha256(name.encode()).digest())
            try:
                whole.update(b"\1" + bytes.fromhex(sha256_file(self._file(name))))
            except InputError:
                whole.update(b"\0")
        return whole.hexdigest()


def text_of(value: object) -> str | None:
    """A label or listing as text: whole numbers as digits, booleans as true and false; None for null and "".

    Raises ValueError for any other type, and for text that is not Unicode.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} is not text, a whole number or a boolean")
    value.encode()
    return sys.intern(value)  # a few labels, many photos


def absent(kind: str, wanted: str, there: Collection[str]) -> InputError:
    """The error that says there is no `kind` (column, field) called `wanted`: what is close to it, what there is."""
    there = [name.encode(errors="replace").decode() for name in there]
    near = difflib.get_close_matches(wanted, there[:1000], n=1)
    hint = f" (did you mean {shown(near[0])!r}?)" if near else ""
    listed = ", ".join(shown(name)[:60] for name in there[:20]) + (", ..." if len(there) > 20 else "")
    return InputError(f"has no {kind} {shown(wanted)!r}{hint}; it has {listed or 'none'}")


def _read(
    table: Path, path: str, wanted: Sequence[str], labels: Collection[str]
) -> tuple[list[str | None], dict[str, list[str | None]]]:
    """The column `path` and the columns `wanted`, of which `labels` must not mix types."""
    kind = table.suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise InputError("a table is a .csv or .parquet file")
    if not os.path.isfile(table):
        raise InputError("not a regular file; give a file" if os.path.exists(table) else "no such file")
    paths: list[str | None] = []
    columns: dict[str, list[str | None]] = {name: [] for name in wanted}
    if kind == ".parquet":
        _read_parquet(table, path, paths, columns)
    else:
        _read_csv(table, path, paths, columns)
        columns = {name: _labels(name, rows) if name in labels else rows for name, rows in columns.items()}
    if not paths:
        raise InputError("has no rows")
    return paths, columns


def _check_header(header: Sequence[str], wanted: Sequence[str]) -> None:
    for name, count in Counter(header).items():
        if count > 1:
            raise InputError(f"has two columns called {shown(name)!r}; rename one")
    for name in wanted:
        if name not in header:
            raise absent("column", name, header)


def _read_csv(table: Path, path: str, paths: list[str | None], columns: dict[str, list[str | None]]) -> None:
    try:
        with open(table, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            _check_header(header, [path, *columns])
            place = header.index(path)
            others = [(header.index(name), rows) for name, rows in columns.items()]
            for row in reader:
                if not row:  # a blank line
                    continue
                if len(row) != len(header):
                    raise InputError(
                        f"row {len(paths) + 1} has {len(row)} fields, the header {len(header)}; quote text with commas"
                    )
                paths.append(row[place])
                for index, rows in others:
                    rows.append(text_of(row[index]))
    except UnicodeDecodeError:
        raise InputError(f"not UTF-8 after row {len(paths)}; save it as CSV UTF-8") from None
    except csv.Error as error:
        raise InputError(f"not CSV after row {len(paths)} ({shown(str(error))}); correct it there") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})") from None


def _labels(name: str, values: list[str | None]) -> list[str | None]:
    """CSV labels, where all that tells a type is how the text looks."""
    first: dict[str, int] = {}
    for row, value in enumerate(values, start=1):
        if value is None:
            continue
        if _FRACTION.fullmatch(value):
            raise InputError(
                f"column {shown(name)!r} has {shown(value)} in row {row}; a label is text, a whole number or a boolean"
            )
        kind = "number" if _WHOLE.fullmatch(value) else "boolean" if value.lower() in ("true", "false") else "text"
        first.setdefault(kind, row)
    if "number" in first and len(first) > 1:
        other = min(row for kind, row in first.items() if kind != "number")
        raise InputError(
            f"column {shown(name)!r} mixes types: a number in row {first['number']}, text in row {other}; use one type"
        )
    return [value and sys.intern(value.lower()) for value in values] if list(first) == ["boolean"] else values


def _read_parquet(table: Path, path: str, paths: list[str | None], columns: dict[str, list[str | None]]) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingDependencyError("reading Parquet needs pyarrow: run `pip install 'edgekit[distill]'`") from None
    try:
        with parquet.ParquetFile(table) as file:
            _check_header(file.schema_arrow.names, [path, *columns])
            for name in (path, *columns):
                _check_type(name, file.schema_arrow.field(name).type, only_text=name == path)
            for batch in file.iter_batches(batch_size=1 << 14, columns=[path, *columns]):
                paths += batch.column(path).to_pylist()
                for name, rows in columns.items():
                    rows += map(text_of, batch.column(name).to_pylist())
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"damaged, or not Parquet ({reason_of(error)}); write it again") from None


def _check_type(name: str, dtype: object, *, only_text: bool) -> None:
    from pyarrow import types

    value = dtype.value_type if types.is_dictionary(dtype) else dtype  # type: ignore[attr-defined]
    text = types.is_string(value) or types.is_large_string(value) or str(value) == "string_view"
    if text or (not only_text and (types.is_integer(value) or types.is_boolean(value) or types.is_null(value))):
        return
    needs = "paths are text" if only_text else "labels and listings are text, whole numbers or booleans"
    raise InputError(f"column {shown(name)!r} is of type {shown(str(dtype))}, but {needs}")


def _inside(text: str | None, row: int, column: str) -> str:
    """An image path as it stands, once nothing in the text itself leads out of the root."""
    where = f"row {row}, column {shown(column)!r}"
    if not text:
        raise InputError(f"{where} is empty; every row needs an image path")
    if "\0" in text:
        raise InputError(f"{where} has a NUL character in {shown(text)!r}; correct the path")
    if text.startswith("/") or posixpath.normpath(text).split("/")[0] == "..":
        raise InputError(f"{where}: {shown(text)!r} leaves the folder of images; give a path relative to root")
    if is_unread(text):
        raise InputError(f"{where}: {shown(text)!r} is of a kind that is not read here; {advice([text])}")
    if posixpath.splitext(text)[1].lower() not in readable():
        raise InputError(f"{where}: {shown(text)!r} is not an image's name ({' '.join(sorted(readable()))})")
    return text
