"""Own tables of relevance: both formats give the same, and what cannot be read is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from edgekit.errors import InputError
from edgekit.evaluation.pairs import read_pairs


def test_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    text, table = tmp_path / "own.csv", tmp_path / "own.parquet"
    text.write_text("relevance,query,gallery\n2,a,x\n0.5,b,y\n", encoding="utf-8-sig")
    parquet.write_table(pa.table({"gallery": ["x", "y"], "query": ["a", "b"], "relevance": [2.0, 0.5]}), table)
    for pairs in map(read_pairs, (text, table)):
        assert (pairs.query, pairs.gallery, pairs.relevance.tolist()) == (["a", "b"], ["x", "y"], [2.0, 0.5])
    rows = read_pairs(text).rows("q", ["b", "a"], "g", ["x", "z", "y"])
    assert [array.tolist() for array in rows] == [[1, 0], [0, 2], [2.0, 0.5]]


def test_without_grades_each_pair_counts_one(tmp_path: Path) -> None:
    text, table = tmp_path / "own.csv", tmp_path / "own.parquet"
    text.write_text("query,gallery\na,x\n\n")
    parquet.write_table(pa.table({"query": ["a"], "gallery": ["x"]}), table)
    assert [read_pairs(path).relevance.tolist() for path in (text, table)] == [[1.0], [1.0]]


def test_an_unknown_id_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("query,gallery\na,x\na,nosuch\nb,nosuch\n")
    pairs = read_pairs(path)
    with pytest.raises(InputError, match=r"own.csv: 2 of 3 pairs name an id that gallery.parquet .* first 'nosuch'"):
        pairs.rows("queries.parquet", ["a", "b"], "gallery.parquet", ["x"])
    with pytest.raises(InputError, match=r"1 of 3 pairs name an id that queries.parquet .* first 'b'"):
        pairs.rows("queries.parquet", ["a"], "gallery.parquet", ["x", "nosuch"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "columns: none"),
        ("query,gallery\n", "has no pair"),
        ("query,item\na,x\n", "one column gallery"),
        ("query,query,gallery\na,b,x\n", "one column query"),
        ("query,gallery\na,x\na,x\n", "pair 2 is there twice"),
        ("query,gallery\na,\n", "pair 1 has an empty id"),
        ("query,gallery\na\n", "line 2 has 1 values, not 2"),
        ("query,gallery,relevance\na,x,much\n", "pair 1 has the relevance 'much'"),
        ("query,gallery,relevance\na,x,nan\n", "pair 1 has the relevance 'nan'"),
        ("query,gallery,relevance\na,x,-1\n", "pair 1 has the relevance '-1'"),
        ("query,gallery,relevance\na,x,inf\n", "pair 1 has the relevance 'inf'"),
        ('query,gallery\n"a,x\n', "cannot be read as CSV"),
    ],
)
def test_a_bad_table_is_refused(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_pairs(path)


def test_a_missing_or_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    (tmp_path / "bad.csv").write_bytes(b"query,gallery\n\xff,x\n")
    (tmp_path / "folder.csv").mkdir()
    parquet.write_table(pa.table({"query": ["a"], "gallery": ["x"], "further": ["y"]}), tmp_path / "name.parquet")
    content = (tmp_path / "name.parquet").read_bytes()
    (tmp_path / "name.parquet").write_bytes(content.replace(b"further", b"furt\xecer"))
    for name, words in (
        ("no.csv", "no such file"),
        ("no.parquet", "no such file"),
        ("folder.csv", "not a regular file"),
        ("bad.parquet", "cannot be read as Parquet"),
        ("bad.csv", "cannot be read as CSV"),
        ("name.parquet", "cannot be read as Parquet"),
    ):
        with pytest.raises(InputError, match=words):
            read_pairs(tmp_path / name)


def test_ids_that_are_no_text_or_number_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.PARQUET"
    parquet.write_table(pa.table({"query": [["a"]], "gallery": ["x"]}), path)
    with pytest.raises(InputError, match=r"column query holds list.*ids are text"):
        read_pairs(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_being_refused(tmp_path: Path, content: bytes) -> None:
    for path in (tmp_path / "any.csv", tmp_path / "any.parquet"):
        path.write_bytes(b"query,gallery\n" + content if path.suffix == ".csv" else content)
        try:
            assert len(read_pairs(path).query) > 0
        except InputError as error:
            assert "\n" not in str(error)


def test_a_table_that_is_parted_by_semicolons_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("query;gallery\na;b\n")
    with pytest.raises(InputError, match=r"pairs.csv: its columns are parted by semicolons; save it with commas"):
        read_pairs(tmp_path / "pairs.csv")
