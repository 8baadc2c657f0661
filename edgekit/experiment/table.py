"""A CSV or Parquet table from anyone, read batch by batch: text, numbers and days of named columns."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import InputError, MissingDependencyError
from edgekit.support.text import reason_of, shown

__all__ = ["Batch", "Table", "listed", "open_table"]

_ROWS = 1 << 16  # of a Parquet file that are held at a time
_BLOCK = 8 << 20  # bytes of a CSV file that are held at a time; a row is no longer
_LARGEST = 1e150  # whose square is a float64 as well
_MOST_COLUMNS = 2000
_BAD_VALUE = re.compile(
    r"CSV column #(\d+):(?: Row #(\d+):)? CSV conversion error to ([\w\[\]]+): (?:invalid value )?(.*)"
)
_DATE = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:[0-9:.]*\s?(Z|UTC|[+-][0-9:]{2,9})?)?$"
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class Batch:
    """Some rows: `texts` are pyarrow arrays by column, `numbers` float64 [N,C], `days`
    datetime64 (days) [N].

    `first` is the number of the first row; rows count from 1, after the header.
    """

    first: int
    texts: Mapping[str, Any]
    numbers: np.ndarray
    days: np.ndarray | None


@dataclass(frozen=True)
class Table:
    """A table's path, about how many rows it has, its columns in their order, and which of them look like numbers (or
    true and false).
    """

    path: Path
    rows: int
    names: tuple[str, ...]
    numeric: tuple[str, ...]
    booleans: frozenset[str] = field(repr=False)

    def require(self, names: Collection[str], kind: str = "column") -> None:
        """Raises InputError for the first of `names` that is no column, with the nearest one."""
        for name in names:
            if name not in self.names:
                near = difflib.get_close_matches(name, self.names, n=1)
                hint = f" (did you mean {shown(near[0], 60)!r}?)" if near else ""
                raise InputError(
                    f"{self._shown}: has no {kind} {shown(name, 60)!r}{hint}; its columns are {listed(self.names)}"
                )

    def batches(self, texts: Sequence[str], numbers: Sequence[str], day: str | None = None) -> Iterator[Batch]:
        """The rows, in order. Text and numbers have no gap: a missing, infinite or other value is refused.

        Raises:
            InputError: names the column, and the row where it is known, of what is no number, text or date; or there is
                no row.
        """
        columns = list(dict.fromkeys((*texts, *numbers, *([day] if day else []))))
        first = 1
        with _errors(self._shown, self.names):
            for batch in self._read(columns, set(texts), day):
                if not batch.num_rows:
                    continue
                yield self._take(batch, first, texts, numbers, day)
                first += batch.num_rows
        if first == 1:
            raise InputError(f"{self._shown}: has no rows below its header; write the results into it")

    @property
    def _shown(self) -> str:
        return shown(str(self.path))

    def _read(self, columns: list[str], texts: Collection[str], day: str | None) -> Iterator[Any]:
        import pyarrow as pa
        from pyarrow import csv, parquet

        if self.path.suffix.lower() == ".parquet":
            with parquet.ParquetFile(self.path) as file:
                yield from file.iter_batches(batch_size=_ROWS, columns=columns)
            return
        types = {name: pa.bool_() if name in self.booleans else pa.float64() for name in columns}
        types |= dict.fromkeys((*texts, *([day] if day else [])), pa.string())
        convert = csv.ConvertOptions(include_columns=columns, column_types=types)
        yield from _open_csv(self.path, convert)

    def _take(self, batch: Any, first: int, texts: Sequence[str], numbers: Sequence[str], day: str | None) -> Batch:
        held = {name: self._text(batch.column(name), name) for name in texts}
        for name, values in held.items():
            self._whole(name, first, _missing(values))
        columns = [self._numbers(batch.column(name), name, first) for name in numbers]
        grid = np.stack(columns, axis=1) if columns else np.empty((batch.num_rows, 0))
        return Batch(first, held, grid, None if day is None else self._days(batch.column(day), day, first))

    def _numbers(self, values: Any, name: str, first: int) -> np.ndarray:
        import pyarrow as pa
        from pyarrow import types

        kind = values.type
        if types.is_boolean(kind):
            values = values.cast(pa.uint8())
        elif not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind)):
            raise InputError(
                f"{self._shown}: column {shown(name, 60)!r} holds {shown(str(kind), 60)}, not numbers; choose another "
                "column, or convert it"
            )
        numbers = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
        self._whole(name, first, ~(np.abs(numbers) <= _LARGEST))
        return numbers

    def _days(self, values: Any, name: str, first: int) -> np.ndarray:
        import pyarrow as pa
        from pyarrow import types

        if types.is_string(values.type) or types.is_large_string(values.type):
            values = self._dates(values, name, first)
        try:
            days = np.asarray(values.cast(pa.date32(), safe=False).to_numpy(zero_copy_only=False), "datetime64[D]")
        except pa.ArrowException:
            raise InputError(
                f"{self._shown}: column {shown(name, 60)!r} holds {shown(str(values.type), 60)} that is no date as in "
                "2026-01-31; convert it"
            ) from None
        self._whole(name, first, np.isnat(days))
        return days

    def _dates(self, values: Any, name: str, first: int) -> Any:
        """The dates of texts that begin with one, as they are written: a time and its zone do not move them."""
        from pyarrow import compute

        self._whole(name, first, _missing(values))
        dates = compute.utf8_slice_codeunits(values, 0, 10)
        told = compute.and_(
            compute.match_substring_regex(values, _DATE),
            compute.is_valid(compute.strptime(dates, format="%Y-%m-%d", unit="s", error_is_null=True)),
        ).to_numpy(zero_copy_only=False)
        if not told.all():
            place = int(told.argmin())
            raise InputError(
                f"{self._shown}: column {shown(name, 60)!r} has {shown(values[place].as_py(), 60)!r} in row "
                f"{first + place}, which is not a date as in 2026-01-31"
            )
        return dates

    def _text(self, values: Any, name: str) -> Any:
        """Text as it is, whole numbers as they are; a dictionary's values, and other types as text."""
        import pyarrow as pa
        from pyarrow import types

        kind = values.type
        if types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind):
            return values
        try:
            return values.cast(pa.string())
        except pa.ArrowException:
            raise InputError(
                f"{self._shown}: column {shown(name, 60)!r} holds {shown(str(kind), 60)}, which cannot be read as "
                "text; choose another column, or convert it"
            ) from None

    def _whole(self, name: str, first: int, missing: np.ndarray) -> None:
        if missing.any():
            row = first + int(missing.argmax())
            raise InputError(
                f"{self._shown}: column {shown(name, 60)!r} has no value in row {row} (empty, NaN, infinite or over "
                f"{_LARGEST:g}); fill it in, 0 where that is meant, or leave the row out"
            )


def open_table(path: Path) -> Table:
    """The table at `path`, of which the header is read.

    Raises:
        InputError: it is no CSV or Parquet file, is damaged or empty, or two columns have one name.
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        from pyarrow import parquet, types
    except ImportError:
        raise MissingDependencyError("reading tables needs pyarrow: run `pip install 'edgekit[evaluate]'`") from None
    name = shown(str(path))
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"{name}: a table of results is a .csv or .parquet file")
    if not os.path.isfile(path):
        raise InputError(f"{name}: " + ("not a regular file; give a file" if os.path.exists(path) else "no such file"))
    with _errors(name, ()):
        if path.suffix.lower() == ".parquet":
            with parquet.ParquetFile(path) as file:
                schema, rows = file.schema_arrow, file.metadata.num_rows
        else:
            rows = _check_start(path, name)
            with _open_csv(path, None) as reader:
                schema = reader.schema
        names = tuple(schema.names)
    _check_names(names, name)
    fields = [(column, schema.field(column).type) for column in names]
    numeric = tuple(
        column
        for column, kind in fields
        if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    )
    return Table(path, rows, names, numeric, frozenset(column for column, kind in fields if types.is_boolean(kind)))


def listed(names: Sequence[str]) -> str:
    """Names from a file in an error, at most twelve of them."""
    return ", ".join(shown(name, 60) for name in names[:12]) + (", ..." if len(names) > 12 else "")


def _open_csv(path: Path, convert: Any) -> Any:
    from pyarrow import csv

    return csv.open_csv(
        path,
        read_options=csv.ReadOptions(block_size=_BLOCK, use_threads=False),  # with threads no row is named
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=convert,
    )


def _check_start(path: Path, name: str) -> int:
    """Refuse what begins like no CSV of commas: spreadsheets also write UTF-16, semicolons and tabs. Gives about how
    many rows there are.
    """
    with open(path, "rb") as file:
        start = file.read(1 << 16)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{name}: is UTF-16; save it as CSV UTF-8")
    line = re.sub(r'"[^"]*"', "", start.splitlines()[0].decode("utf-8", "replace")) if start.splitlines() else ""
    for separator, word in _SEPARATORS.items():
        if separator in line and "," not in line:
            raise InputError(
                f"{name}: its columns are separated by {word}; save it with commas, and with decimal points"
            )
    return round(path.stat().st_size * start.count(b"\n") / max(len(start), 1))


def _check_names(names: Sequence[str], table: str) -> None:
    if len(names) > _MOST_COLUMNS:
        raise InputError(f"{table}: has {len(names)} columns, {_MOST_COLUMNS} are the most; keep those of the metrics")
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"{table}: has {count} columns called {shown(name, 60)!r}; rename them")


@contextmanager
def _errors(name: str, columns: Sequence[str]) -> Iterator[None]:
    """What pyarrow raises, in one line."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError, KeyError) as error:
        text = str(error)
        if "Empty CSV" in text:
            raise InputError(f"{name}: is empty; give a table with a header and rows") from None
        if bad := _BAD_VALUE.search(text):
            column, row = columns[int(bad[1])], f" in row {int(bad[2]) - 1}" if bad[2] else ""
            if bad[3] == "string":
                raise InputError(
                    f"{name}: column {shown(column, 60)!r} has{row} text that is not UTF-8; save it as CSV UTF-8"
                ) from None
            kind = "true or false" if bad[3] == "bool" else "a number"
            raise InputError(
                f"{name}: column {shown(column, 60)!r} has {shown(bad[4], 60)}{row}, which is not {kind}"
            ) from None
        kind = "CSV" if name.lower().endswith(".csv") else "Parquet"
        raise InputError(f"{name}: damaged, or not {kind} ({reason_of(error, 200)}); write it again") from None


def _missing(values: Any) -> np.ndarray:
    """Which texts are none, as an empty cell of a CSV file is; bool [N]."""
    from pyarrow import compute, types

    empty = values.is_null()
    if types.is_string(values.type) or types.is_large_string(values.type):
        empty = compute.fill_null(compute.equal(values, ""), True)
    return np.asarray(empty.to_numpy(zero_copy_only=False))
