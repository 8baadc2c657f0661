"""Own tables of relevance: CSV or Parquet with the columns query, gallery and, where it is graded, relevance."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgekit.data.tables import check_commas
from edgekit.embedding.checks import is_text
from edgekit.errors import InputError
from edgekit.evaluation.libraries import library
from edgekit.support.text import reason_of, shown

__all__ = ["PairRows", "Pairs", "read_pairs"]

_MOST = 50_000_000  # pairs
_LONGEST = 4096  # characters of an id
_HIGHEST = 1e6  # relevance
_COLUMNS = ("query", "gallery")


class PairRows(NamedTuple):
    """Pairs as rows of two files: int64 [P], int64 [P], and the relevance float64 [P]."""

    query: np.ndarray
    row: np.ndarray
    gain: np.ndarray


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of ids with their relevance, as the table at `path` has them."""

    path: Path
    query: Sequence[str]
    gallery: Sequence[str]
    relevance: np.ndarray

    def rows(self, queries: str, query_ids: Sequence[str], gallery: str, gallery_ids: Sequence[str]) -> PairRows:
        """Where the ids stand in two files, which errors call `queries` and `gallery`.

        Raises:
            InputError: an id is not there; says how many are not, and names the first.
        """
        return PairRows(
            self._find(self.query, queries, query_ids), self._find(self.gallery, gallery, gallery_ids), self.relevance
        )

    def _find(self, named: Sequence[str], file: str, ids: Sequence[str]) -> np.ndarray:
        place = {id: row for row, id in enumerate(ids)}
        found = np.array([place.get(id, -1) for id in named], np.int64)
        if (unknown := int(np.count_nonzero(found < 0))) > 0:
            first = named[int(np.argmax(found < 0))]
            raise InputError(
                f"{self.path}: {unknown} of {len(named)} pairs name an id that {file} does not have, first "
                f"{shown(first, 60)!r}; embed those items, or take the pairs out",
                field="relevance",
            )
        return found


def read_pairs(path: Path) -> Pairs:
    """Read a table of pairs; without a column relevance, each is relevant by 1.

    Raises:
        InputError: it cannot be read, has no such column or no pair, a pair is there twice, or a relevance is no number
            from 0 to a million.
    """
    if not path.is_file():
        state = "not a regular file" if path.exists() else "no such file"
        raise InputError(f"{path}: {state}; give a .csv or .parquet table of pairs", field="relevance")
    rows = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    queries, gallery, gains = [], [], []
    seen: set[tuple[str, str]] = set()
    for number, (query, item, gain) in enumerate(rows, 1):
        if number > _MOST:
            raise InputError(f"{path}: over {_MOST} pairs, more than are read; give a part of them")
        if not query or not item or max(len(query), len(item)) > _LONGEST:
            raise InputError(f"{path}: pair {number} has an empty id, or one over {_LONGEST} characters; mend it")
        if (query, item) in seen:
            raise InputError(f"{path}: pair {number} is there twice ({shown(query, 60)!r}, {shown(item, 60)!r})")
        seen.add((query, item))
        queries.append(query)
        gallery.append(item)
        gains.append(_number(path, number, gain))
    if not queries:
        raise InputError(f"{path}: has no pair; give one a row, in the columns query, gallery and relevance")
    return Pairs(path, queries, gallery, np.array(gains))


def _number(path: Path, pair: int, given: object) -> float:
    try:
        gain = float(str(given))
    except ValueError:
        gain = math.nan
    if not 0 <= gain <= _HIGHEST:
        raise InputError(
            f"{path}: pair {pair} has the relevance {shown(str(given), 40)!r}; give a number from 0 to {_HIGHEST:g}"
        )
    return gain


def _csv(path: Path) -> Iterator[tuple[str, str, object]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            _check_columns(path, header)
            at = [header.index(name) for name in _COLUMNS]
            grade = header.index("relevance") if "relevance" in header else None
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise InputError(f"{path}: line {reader.line_num} has {len(row)} values, not {len(header)}")
                yield row[at[0]], row[at[1]], 1 if grade is None else row[grade]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV ({reason_of(error, 160)}); save it as UTF-8") from error


def _parquet(path: Path) -> Iterator[tuple[str, str, object]]:
    pa, parquet = library("pyarrow"), library("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            _check_columns(path, names)
            for name in _COLUMNS:
                _check_ids(path, name, file.schema_arrow.field(name).type)
            read = [*_COLUMNS, *(["relevance"] if "relevance" in names else [])]
            for batch in file.iter_batches(columns=read, use_threads=False):
                columns = [batch.column(name).to_pylist() for name in read]
                ones = columns[2] if len(columns) > 2 else [1] * batch.num_rows
                yield from zip(map(_text, columns[0]), map(_text, columns[1]), ones, strict=True)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read as Parquet ({reason_of(error, 160)}); write it again") from error


def _check_ids(path: Path, name: str, kind: Any) -> None:
    if not (is_text(kind) or library("pyarrow").types.is_integer(kind)):
        raise InputError(f"{path}: column {name} holds {shown(str(kind), 60)}, but ids are text; convert them")


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _check_columns(path: Path, names: Iterable[str]) -> None:
    there = list(names)
    try:
        check_commas(there, _COLUMNS)
    except InputError as error:
        raise InputError(f"{path}: {error}", field="relevance") from None
    if missing := [name for name in _COLUMNS if there.count(name) != 1]:
        raise InputError(
            f"{path}: has not one column {' and one '.join(missing)} (its columns: "
            f"{', '.join(shown(name, 40) for name in there[:8]) or 'none'}); name them query, gallery and relevance",
            field="relevance",
        )
