"""Tables of images, CSV or Parquet, that anyone may have written: columns of text, and paths that stay in a folder."""

from __future__ import annotations

import csv
import difflib
import os
import posixpath
import re
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from edgekit.data.image_files import advice, is_unread, readable
from edgekit.errors import InputError, MissingDependencyError
from edgekit.support.text import reason_of, shown

__all__ = ["MAX_ROW_GROUP", "absent", "check_commas", "check_footer", "inside", "read_table", "text_of"]

MAX_ROW_GROUP = 8 << 30  # bytes, as the footer claims them before compression
_MAX_COLUMNS = 1000

_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_FRACTION = re.compile(r"[+-]?(\d+\.\d*|\.\d+)", re.ASCII)


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


def check_footer(footer: Any) -> None:
    """Refuse by its footer what is not read at once, before anything is read for it.

    That a column lies within the file is seen by pyarrow itself where it reads it. Its metadata are not looked at here:
    pyarrow ends the process where those are damaged (`terminate called after throwing ParquetException`, 26.0).

    Raises:
        InputError: a row group claims what cannot be, or more than is read at once.
    """
    if footer.num_columns > _MAX_COLUMNS:
        raise InputError(f"has {footer.num_columns} columns, more than the {_MAX_COLUMNS} allowed")
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        if group.total_byte_size < 0 or group.num_rows < 0:
            raise InputError(f"damaged, or not Parquet (row group {number} claims {group.num_rows} rows)")
        if group.total_byte_size > MAX_ROW_GROUP:
            raise InputError(
                f"row group {number} claims {group.total_byte_size} bytes, more than the {MAX_ROW_GROUP} allowed; "
                "write smaller row groups"
            )


def read_table(
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


def check_commas(header: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse a CSV whose one column holds all that is `wanted`, parted as spreadsheets of many countries save it.

    Raises:
        InputError: says what it is parted by.
    """
    for mark, called in ((";", "semicolons"), ("\t", "tabs")):
        cells = {cell.strip('"') for cell in header[0].split(mark)} if len(header) == 1 else set()
        if len(cells) > 1 and cells >= {*wanted}:
            raise InputError(f"its columns are parted by {called}; save it with commas")


def _check_header(header: Sequence[str], wanted: Sequence[str]) -> None:
    for name, count in Counter(header).items():
        if count > 1:
            raise InputError(f"has two columns called {shown(name)!r}; rename one")
    check_commas(header, wanted)
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
            check_footer(file.metadata)
            _check_header(file.schema_arrow.names, [path, *columns])
            for name in (path, *columns):
                _check_type(name, file.schema_arrow.field(name).type, only_text=name == path)
            for batch in file.iter_batches(batch_size=1 << 14, columns=[path, *columns]):
                paths += batch.column(path).to_pylist()
                for name, rows in columns.items():
                    rows += map(text_of, batch.column(name).to_pylist())
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"damaged, or not Parquet ({reason_of(error)}); write it again") from None


def _check_type(name: str, dtype: Any, *, only_text: bool) -> None:
    from pyarrow import types

    value = dtype.value_type if types.is_dictionary(dtype) else dtype
    text = types.is_string(value) or types.is_large_string(value) or str(value) == "string_view"
    if text or (not only_text and (types.is_integer(value) or types.is_boolean(value) or types.is_null(value))):
        return
    needs = "paths are text" if only_text else "labels and listings are text, whole numbers or booleans"
    raise InputError(f"column {shown(name)!r} is of type {shown(str(dtype))}, but {needs}")


def inside(text: str | None, row: int, column: str) -> str:
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
