"""Tables from anyone: what is read of them, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import EdgeKitError, InputError
from edgekit.experiment.table import open_table
from tests.experiment.tables import write

HEAD = b"unit,arm,orders,date\n"


def read(path: Path, day: str | None = None) -> tuple[list[str], np.ndarray, list[Any]]:
    """All arms, orders and days of a table."""
    batches = list(open_table(path).batches(["arm"], ["orders"], day))
    arms = [str(arm) for batch in batches for arm in batch.texts["arm"].to_pylist()]
    days = [day for batch in batches if batch.days is not None for day in batch.days.tolist()]
    return arms, np.concatenate([batch.numbers[:, 0] for batch in batches]), days


def csv(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_quotes_a_byte_order_mark_and_line_breaks_in_values_are_read(tmp_path: Path) -> None:
    rows = b'"u,1","the ""new"" one",1,2026-01-31\r\n"u\n2",control,0,2026-02-01 10:00:00\r\n'
    arms, orders, days = read(csv(tmp_path / "a.csv", b"\xef\xbb\xbf" + HEAD + rows), "date")
    assert arms == ['the "new" one', "control"]
    assert orders.tolist() == [1, 0]
    assert [str(day) for day in days] == ["2026-01-31", "2026-02-01"]


@pytest.mark.parametrize("kind", [pa.bool_(), pa.int8(), pa.uint64(), pa.float32(), pa.decimal128(21, 2)])
def test_numbers_of_every_kind_are_read(tmp_path: Path, kind: pa.DataType) -> None:
    arms = pa.array(["a", "b"]).dictionary_encode()
    path = write(tmp_path / "a.parquet", {"arm": arms, "orders": pa.array([1, 0]).cast(kind)})
    assert open_table(path).numeric == ("orders",)
    assert read(path)[:2] == (["a", "b"], pytest.approx([1, 0]))


def test_true_and_false_are_1_and_0(tmp_path: Path) -> None:
    assert read(csv(tmp_path / "a.csv", b"arm,orders\na,true\nb,false\n"))[1].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["is empty"]),
        (HEAD, ["no rows"]),
        (b"unit;arm;orders\n1;a;0\n", ["separated by semicolons", "with commas"]),
        (b"unit\tarm\torders\n1\ta\t0\n", ["separated by tabs"]),
        (b"arm,orders\na,1\n".decode().encode("utf-16"), ["UTF-16", "CSV UTF-8"]),
        (b"arm,orders\na,1\n\xff,0\n", ["'arm' has in row 2 text that is not UTF-8"]),
        (b"arm,orders\na,1\n,0\n", ["'arm'", "no value in row 2", "empty"]),
        (b"arm,orders,orders\na,1,1\n", ["2 columns called 'orders'"]),
        (b"arm,orders\na,1\nb,1,2\n", ["damaged, or not CSV"]),
        (b"arm,orders\na,1\nb,yes\n", ["'orders'", "yes", "row 2", "not a number"]),
        (b"arm,orders\na,1\nb,\n", ["'orders'", "no value in row 2", "0 where that is meant"]),
        (b"arm,orders\na,1\nb,NaN\n", ["'orders'", "no value in row 2"]),
        (b"arm,orders\na,inf\n", ["'orders'", "row 1", "infinite"]),
        (b"arm,order\na,1\n", ["no column 'orders'", "did you mean 'order'?"]),
    ],
)
def test_a_csv_file_that_is_wrong_is_refused_in_one_line(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = csv(tmp_path / "a.csv", content)
    with pytest.raises(InputError) as caught:
        open_table(path).require(["arm", "orders"])
        read(path)
    for word in (str(path), *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("orders", "words"),
    [
        ([1.0, None], ["no value in row 2"]),
        ([1.0, float("nan")], ["no value in row 2"]),
        ([float("-inf"), 1.0], ["row 1"]),
        ([1.0, 1e200], ["row 2", "over 1e+150"]),
        (["1", "2"], ["holds string, not numbers"]),
        ([[1], [2]], ["holds list", "not numbers"]),
    ],
)
def test_a_parquet_column_that_is_wrong_is_refused(tmp_path: Path, orders: list[object], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read(write(tmp_path / "a.parquet", {"arm": ["a", "b"], "orders": orders}))
    for word in ("'orders'", *words):
        assert word in str(caught.value)


def test_days_are_the_dates_as_they_are_written(tmp_path: Path) -> None:
    """With a time, and with or without a time zone, in either format."""
    dates = ["2026-01-31", "2026-01-31T23:30:00Z", "2026-01-31 23:30:00.5+02:00", "2026-01-31T00:10"]
    rows = "".join(f"u,a,1,{date}\n" for date in dates).encode()
    table = write(tmp_path / "a.parquet", {"arm": ["a"] * 4, "orders": [1] * 4, "date": dates})
    for path in (csv(tmp_path / "a.csv", HEAD + rows), table):
        assert {str(day) for day in read(path, "date")[2]} == {"2026-01-31"}


@pytest.mark.parametrize("arms", [[[1], [2]], [{"a": 1}, {"a": 2}], [b"\xff", b"\xfe"]])
def test_a_column_that_is_no_text_is_named(tmp_path: Path, arms: list[object]) -> None:
    with pytest.raises(InputError, match=r"a.parquet: column 'arm' holds .*, which cannot be read as text"):
        read(write(tmp_path / "a.parquet", {"arm": arms, "orders": [1, 2]}))


def test_a_day_that_is_none_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", HEAD + b"1,a,1,yesterday\n")
    with pytest.raises(InputError, match=r"'date' has .*yesterday.* a date as in 2026-01-31"):
        read(path, "date")
    columns = {"arm": ["a"], "orders": [1]}
    with pytest.raises(InputError, match=r"'date' has 'yesterday' in row 1, .* a date as in 2026-01-31"):
        read(write(tmp_path / "a.parquet", {**columns, "date": ["yesterday"]}), "date")
    with pytest.raises(InputError, match="'date' has '2026-13-31' in row 1"):
        read(write(tmp_path / "a.parquet", {**columns, "date": ["2026-13-31"]}), "date")
    with pytest.raises(InputError, match="'date' holds int64 that is no date"):
        read(write(tmp_path / "a.parquet", {**columns, "date": [20260131]}), "date")
    assert str(read(write(tmp_path / "b.parquet", {**columns, "date": ["2026-01-31"]}), "date")[2][0]) == "2026-01-31"


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    (tmp_path / "folder.csv").mkdir()
    for name, words in (
        ("cut.parquet", "not Parquet"),
        ("folder.csv", "not a regular file"),
        ("none.csv", "no such file"),
        ("a.xlsx", ".csv or .parquet"),
    ):
        with pytest.raises(InputError, match=words):
            open_table(tmp_path / name)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_table_or_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(b"arm,orders" + content)
    try:
        read(path)
    except EdgeKitError as error:
        assert str(error).isprintable()
