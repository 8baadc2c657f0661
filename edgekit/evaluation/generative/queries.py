"""What people asked for, and what they chose: a table of texts, or the captions of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgekit.data.catalog import Catalog
from edgekit.data.tables import read_table
from edgekit.errors import InputError
from edgekit.support.text import shown

__all__ = ["Asked", "Query", "chosen_rows", "queries_of_catalog", "read_queries"]

_MOST = 1_000_000  # rows
_LONGEST = 2000  # characters of a text
_LONGEST_ID = 4096
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})([-_][A-Za-z0-9]{1,8})*", re.ASCII)


@dataclass
class Query:
    """A text in a language (its ISO 639 code), and the ids or labels of what people chose."""

    id: str
    text: str
    language: str
    items: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """Queries in the order in which they first stand, and how many rows were there twice."""

    name: str
    queries: Sequence[Query]
    doubled: int = 0


def read_queries(path: Path) -> Asked:
    """Read a CSV or Parquet table with the columns text, language and item, one chosen item a row.

    Rows of one text in one language are one query, whose items are all those chosen; its id is the language and the
    number of the query. A row that is there twice counts once. Of a language tag the first part is taken: `pt-BR` is
    `pt`.

    Raises:
        InputError: it cannot be read, lacks a column or has no row, or a row has no text, language or item.
    """
    try:
        texts, columns = read_table(path, "text", ["language", "item"], ())
        if len(texts) > _MOST:
            raise InputError(f"{len(texts)} rows, more than the {_MOST} that are read; give a part of them")
        rows = enumerate(zip(texts, columns["language"], columns["item"], strict=True), start=1)
        queries, doubled = _gathered(_checked(number, *row) for number, row in rows)
    except InputError as error:
        raise InputError(f"{shown(str(path))}: {error}", field="queries") from None
    return Asked(shown(path.name), queries, doubled)


def queries_of_catalog(catalog: Catalog) -> Asked:
    """Each listing's caption in each language; what was chosen is the listing. Equal captions are one query."""
    listings = map(catalog.listing, range(catalog.listings))
    rows = ((text, language, one.id) for one in listings for language, text in one.captions.items())
    queries, doubled = _gathered(rows)
    return Asked("captions of the synthetic catalogue", queries, doubled)


def chosen_rows(asked: Asked, gallery: str, ids: Sequence[str], labels: Sequence[str] | None) -> list[list[np.ndarray]]:
    """For each query and each of its items, the rows int64 of the gallery that show it: by id, else by label.

    Raises:
        InputError: an item is not there; says how many are not, and names the first.
    """
    by_label: dict[str, list[int]] = {}
    for row, label in enumerate(labels or ()):
        if label:
            by_label.setdefault(label, []).append(row)
    by_id: Mapping[str, int] = {id: row for row, id in enumerate(ids)}
    named = [item for query in asked.queries for item in query.items]
    missing = [item for item in named if item not in by_id and item not in by_label]
    if missing:
        raise InputError(
            f"{asked.name}: {len(missing)} of {len(named)} chosen items are neither an id nor a label of {gallery}, "
            f"first {shown(missing[0], 60)!r}; add them to the gallery, or take their rows out",
            field="queries",
        )
    return [
        [np.array([by_id[item]] if item in by_id else by_label[item], np.int64) for item in query.items]
        for query in asked.queries
    ]


def _checked(row: int, text: str | None, language: str | None, item: str | None) -> tuple[str, str, str]:
    for name, value in (("text", text), ("language", language), ("item", item)):
        if not value or not value.strip():
            raise InputError(f"row {row} has no {name}; fill it in, or take the row out")
    assert text is not None
    assert language is not None
    assert item is not None
    if len(text) > _LONGEST or len(item) > _LONGEST_ID:
        raise InputError(f"row {row} has a text over {_LONGEST} characters, or an item over {_LONGEST_ID}; shorten it")
    match = _LANGUAGE.fullmatch(language.strip())
    if match is None:
        raise InputError(f"row {row} has the language {shown(language, 40)!r}; give a code such as en, de or pt-BR")
    return text.strip(), match[1].lower(), item


def _gathered(rows: Iterable[tuple[str, str, str]]) -> tuple[list[Query], int]:
    queries: dict[tuple[str, str], Query] = {}
    doubled = 0
    for text, language, item in rows:
        query = queries.setdefault((text, language), Query(f"{language}-{len(queries) + 1:06d}", text, language))
        if item in query.items:
            doubled += 1
        else:
            query.items.append(item)
    return list(queries.values()), doubled
