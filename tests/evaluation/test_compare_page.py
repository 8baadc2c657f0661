"""The page of a comparison says what its report says."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import OutputError
from edgekit.evaluation.compare_page import page_of_comparison, write_compare_page
from edgekit.evaluation.compare_report import CompareReport
from edgekit.report.document import Interval, Mark, Page, Scatter, Table
from tests.report.all_pages import WHERE, comparison

NAMES = ["b0 int8", "b0 fp32", "slow", "untimed", "seeded", "broken"]


def table(page: Page, title: str) -> Table:
    (found,) = (part for part in page.sections if isinstance(part, Table) and part.title == title)
    return found


def plots(page: Page) -> dict[str, Scatter]:
    return {part.title: part for part in page.sections if isinstance(part, Scatter)}


def column(found: Table, name: str) -> list[object]:
    place = [column.name for column in found.columns].index(name)
    return [row.cells[place] for row in found.rows]


def marks(found: Table, name: str) -> list[tuple[str, str] | None]:
    return [None if not isinstance(cell, Mark) else (cell.text, cell.state) for cell in column(found, name)]


@pytest.fixture
def page() -> Page:
    return page_of_comparison(comparison("b0", ["throttled"]), [("all figures", "edgekit compare b0")])


def test_the_verdict_is_that_of_the_report_with_its_doubts(page: Page) -> None:
    report = comparison("b0", ["throttled"])
    assert page.verdict.text == f"Ship b0 int8 under {WHERE}."
    assert (page.verdict.why, page.verdict.warnings) == (report.answer.why, report.answer.warnings)
    assert page.verdict.state == "mixed"
    assert page_of_comparison(comparison("b0", [])).verdict.state == "good"
    assert ("valid latencies", "0 of 4") in page.facts
    assert [command.line for command in page.commands] == ["edgekit compare b0"]


def test_where_nothing_qualifies_the_nearest_is_told() -> None:
    report = comparison("b0", [])
    answer = report.answer.model_copy(update={"ship": None, "nearest": "slow"})
    page = page_of_comparison(report.model_copy(update={"answer": answer}))
    assert page.verdict.text == f"No row qualifies under {WHERE}; nearest is slow."
    assert page.verdict.state == "bad"
    assert marks(table(page, "All rows"), "stands")[2] == ("nearest", "mixed")
    (chosen,) = (point for point in plots(page)["Recall@10 over latency"].points if point.chosen)
    assert chosen.label == "slow"


def test_every_row_is_there_with_its_place_and_what_its_latency_is_worth(page: Page) -> None:
    rows = table(page, "All rows")
    assert column(rows, "row") == NAMES
    stands = ["SHIP", "front", "dominated", "no latency", "cost without quality", "not exported"]
    assert [mark and mark[0] for mark in marks(rows, "stands")] == stands
    assert [row.dim for row in rows.rows] == [False, False, True, False, False, True]
    assert marks(rows, "measured on")[0] == ("host, not valid: throttled", "mixed")
    assert marks(rows, "measured on")[3] is None
    sound = table(page_of_comparison(comparison("b0", [])), "All rows")
    assert marks(sound, "measured on")[0] == ("host", "plain")
    assert column(rows, "recall@10")[:2] == [Interval(0.8, 0.7, 0.9), Interval(0.82, 0.7, 0.9)]
    assert column(rows, "min cosine")[:3] == [0.997, 1.0, None]
    assert column(table(page, "What each row costs"), "EUR/million") == [None, None, 0.2, None, None, None]


def test_prices_have_their_source_and_date(page: Page) -> None:
    (row,) = table(page, "Prices").rows
    assert row.cells == ("small", 0.2, "hour, 2 cores", "2026-01-31", "https://prices.example/b0", None)
    bare = comparison("b0", []).model_copy(update={"prices": []})
    assert "Prices" not in [part.title for part in page_of_comparison(bare).sections]


def test_what_is_missing_and_what_failed_is_said(page: Page) -> None:
    (row,) = table(page, "What is missing").rows
    assert row.cells == ("quality", "random weights", "seeded")
    assert page.notes == ["broken: not exported: b0 cannot be lowered", "a note on b0"]


def test_plots_have_the_front_the_limits_and_the_row_to_ship(page: Page) -> None:
    found = plots(page)
    assert list(found) == ["Recall@10 over latency", "Recall@10 over size", "Size over latency"]
    time = found["Recall@10 over latency"]
    assert {point.label: (point.front, point.dim, point.chosen) for point in time.points} == {
        "b0 int8": (True, False, True),
        "b0 fp32": (True, False, False),
        "slow": (False, True, False),
    }
    assert time.x.log and not time.y.log  # 9 to 90 ms
    assert [(guide.axis, guide.value) for guide in time.guides] == [("x", 20.0)]
    both = found["Size over latency"]
    assert [(guide.axis, guide.value) for guide in both.guides] == [("x", 20.0), ("y", 8.0)]
    assert "seeded" in [point.label for point in both.points]  # cost without quality
    assert "min cosine 0.9970" in time.points[0].detail and "not valid: throttled" in time.points[0].detail
    assert "2 rows that lack one of both figures" in time.note


def alike(report: CompareReport) -> CompareReport:
    """The same with one recall for all."""
    same = report.rows[0].figures["recall@10"]
    rows = [row.model_copy(update={"figures": row.figures | {"recall@10": same}}) for row in report.rows]
    return report.model_copy(update={"rows": rows})


def test_where_quality_tells_nothing_parity_is_shown_and_size_comes_first() -> None:
    found = plots(page_of_comparison(alike(comparison("b0", []))))
    assert list(found) == [
        "Size over latency",
        "Min cosine to the original over size",
        "Min cosine to the original over latency",
    ]
    assert "recall@10 is the same for every row" in found["Min cosine to the original over size"].note


def test_it_is_written_with_equal_bytes_or_not_at_all(tmp_path: Path) -> None:
    for name in ("one.html", "two.html"):
        write_compare_page(comparison("b0", ["throttled"]), tmp_path / name)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot write"):
        write_compare_page(comparison("b0", []), tmp_path / "file" / "page.html")
