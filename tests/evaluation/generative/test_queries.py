"""Tables of texts and what people chose, read as hostile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from edgekit.data.catalog import Catalog
from edgekit.data.catalog.captions import LANGUAGES
from edgekit.errors import InputError
from edgekit.evaluation.generative.queries import chosen_rows, queries_of_catalog, read_queries

HEADER = "text,language,item\n"


def table(path: Path, rows: str) -> Path:
    path.write_text(HEADER + rows, encoding="utf-8")
    return path


def test_rows_of_one_text_are_one_query_and_doubled_rows_count_once(tmp_path: Path) -> None:
    rows = "red mug,en,a\nred mug,en-US,b\nred mug,en,a\nrote Tasse,de,a\nred mug,nl,a\n"
    asked = read_queries(table(tmp_path / "q.csv", rows))
    assert [(row.id, row.text, row.items) for row in asked.queries] == [
        ("en-000001", "red mug", ["a", "b"]),
        ("de-000002", "rote Tasse", ["a"]),
        ("nl-000003", "red mug", ["a"]),
    ]
    assert asked.doubled == 1


def test_parquet_gives_the_same_as_csv(tmp_path: Path) -> None:
    rows = [("赤・無地・木の椅子", "ja", "listing-000001"), ("chaise, rouge", "fr", "listing-000001")]
    columns = {
        name: list(values) for name, values in zip(("text", "language", "item"), zip(*rows, strict=True), strict=True)
    }
    parquet.write_table(pa.table(columns), tmp_path / "q.parquet")
    quoted = "".join(f'"{text}",{language},{item}\n' for text, language, item in rows)
    assert read_queries(tmp_path / "q.parquet").queries == read_queries(table(tmp_path / "q.csv", quoted)).queries


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HEADER, "has no rows"),
        ("", "has no column"),
        ("text,language\nmug,en\n", "has no column 'item'"),
        (f"{HEADER}mug,,a\n", "row 1 has no language"),
        (f"{HEADER}mug,en,a\n ,en,a\n", "row 2 has no text"),
        (f"{HEADER}mug,en,\n", "row 1 has no item"),
        (f"{HEADER}mug,klingon!,a\n", "row 1 has the language 'klingon!'"),
        (f"{HEADER}{'m' * 2001},en,a\n", "a text over 2000 characters"),
        (f"{HEADER}mug,en\n", "has 2 fields"),
    ],
)
def test_a_table_that_cannot_be_meant_is_one_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "q.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=said) as caught:
        read_queries(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.sampled_from(["q.csv", "q.parquet"]))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(HEADER.encode() + content if name == "q.csv" else content)
    try:
        assert read_queries(path).queries
    except InputError as error:
        assert "\n" not in str(error)


def test_the_catalogue_asks_for_each_listing_in_each_language() -> None:
    asked = queries_of_catalog(Catalog(5, 1))
    assert len(asked.queries) == 5 * len(LANGUAGES)
    assert {query.language for query in asked.queries} == set(LANGUAGES)
    assert all(query.items == [f"listing-{number // len(LANGUAGES):06d}"] for number, query in enumerate(asked.queries))


def test_an_item_is_an_id_or_a_label_and_must_be_there(tmp_path: Path) -> None:
    asked = read_queries(table(tmp_path / "q.csv", "mug,en,a\nmug,en,p2\ncup,en,b\n"))
    found = chosen_rows(asked, "g.parquet", ["p0", "p1", "p2"], ["a", "a", "b"])
    assert [[rows.tolist() for rows in items] for items in found] == [[[0, 1], [2]], [[2]]]
    assert all(rows.dtype == np.int64 for items in found for rows in items)
    with pytest.raises(InputError, match=r"q\.csv: 1 of 3 chosen items are neither an id nor a label of .*first 'b'"):
        chosen_rows(asked, "g.parquet", ["p0", "p2"], ["a", ""])
