"""A document refuses what no page can show."""

from __future__ import annotations

import math
from typing import Literal

import pytest

from edgekit.report.document import Axis, Cell, Column, Interval, Mark, Point, Row, Scatter, Table, number

Kind = Literal["text", "number", "state", "drawn"]


@pytest.mark.parametrize(
    ("value", "digits", "signed", "shown"),
    [
        (0.12345, 3, False, "0.123"),
        (0.0, 3, True, "+0.000"),
        (-0.5, 1, True, "-0.5"),
        (1234567.0, 0, False, "1,234,567"),
        (None, 3, False, "-"),
        (math.nan, 3, False, "-"),
        (-math.inf, 3, True, "-"),
    ],
)
def test_numbers_as_people_read_them(value: float | None, digits: int, signed: bool, shown: str) -> None:
    assert number(value, digits, signed=signed) == shown


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("text", 1.0),
        ("number", "1.0"),
        ("number", Mark("no")),
        ("state", "good"),
        ("state", 1),
        ("drawn", Interval(1.0, 0.0, 2.0)),
    ],
)
def test_a_cell_of_another_kind_is_refused(kind: Kind, cell: Cell) -> None:
    columns = [Column("figure", kind)]
    with pytest.raises(ValueError, match="figure"):
        Table("figures", columns, [Row([cell])])
    Table("figures", columns, [Row([None])])


def test_a_row_is_as_wide_as_its_table() -> None:
    with pytest.raises(ValueError, match="zip"):
        Table("figures", [Column("a"), Column("b")], [Row(["only one"])])


@pytest.mark.parametrize(("x", "y"), [(math.nan, 1.0), (1.0, math.inf), (0.0, 1.0), (-1.0, 1.0)])
def test_a_point_without_a_place_is_refused(x: float, y: float) -> None:
    with pytest.raises(ValueError, match="b0"):
        Scatter("plot", Axis("latency", log=True), Axis("recall"), [Point("b0", x, y)])


def test_an_axis_says_which_way_is_better() -> None:
    assert Axis("p50", "ms", better="low").title == "p50, ms (lower is better)"
    assert Axis("recall@10", better="high").title == "recall@10 (higher is better)"
    assert Axis("size").title == "size"
