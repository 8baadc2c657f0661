"""The page of an evaluation of retrieval says what its report says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import InputError, UsageError
from edgekit.evaluation.retrieval import RetrievalRequest, evaluate_retrieval
from edgekit.evaluation.retrieval_page import page_of_retrieval, write_retrieval_page
from edgekit.evaluation.retrieval_report import Arrangement, Change, Figure, RetrievalReport
from edgekit.report.document import Interval, Mark, Scatter, Table
from tests.evaluation.made import listings, write

VALUES, COLUMNS = listings(60)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> RetrievalReport:
    folder = tmp_path_factory.mktemp("files")
    noise = np.random.default_rng(1).standard_normal(VALUES.shape)
    original = write(folder / "original.parquet", VALUES, COLUMNS)
    small = write(folder / "small.parquet", VALUES + noise, COLUMNS, model="small")
    request = RetrievalRequest(
        small, against=original, forms=["plain", "truncate=2"], by=["category"], worst=3, resamples=99, at=[1, 5]
    )
    return evaluate_retrieval(request)


def table(report: RetrievalReport, title: str) -> Table:
    """The table of the page whose title begins so."""
    (found,) = (
        part for part in page_of_retrieval(report).sections if isinstance(part, Table) and part.title.startswith(title)
    )
    return found


def test_every_figure_of_the_report_is_on_the_page(report: RetrievalReport) -> None:
    rows = table(report, "All figures").rows
    assert [row.cells[0] for row in rows] == list(report.arrangements[0].figures)
    for row in rows:
        for cell, arrangement in zip(row.cells[1:], report.arrangements, strict=True):
            figure = arrangement.figures[str(row.cells[0])]
            assert cell == Interval(figure.value, figure.low, figure.high)
    segments = table(report, "Segments").rows
    assert {row.cells[:3] for row in segments} == {
        (row.segment, row.column, row.arrangement) for row in report.segments
    }
    worst = table(report, "Worst queries").rows
    assert [row.cells[0] for row in worst] == [row.id for row in report.worst]
    for row, query in zip(worst, report.worst, strict=True):
        assert str(row.cells[-1]).count("✓") == sum(item.relevance > 0 for item in query.found)


def test_the_plot_has_the_front_of_bytes_and_quality(report: RetrievalReport) -> None:
    (plot,) = (part for part in page_of_retrieval(report).sections if isinstance(part, Scatter))
    places = {point.label: (point.x, point.y) for point in plot.points}
    assert places == {row.name: (row.gallery_bytes / 1e6, row.figures["recall@5"].value) for row in report.arrangements}
    for point in plot.points:
        beaten = any(x <= point.x and y >= point.y and (x, y) != (point.x, point.y) for x, y in places.values())
        assert point.front is not beaten


def made(*changes: tuple[str, float, float, float] | None) -> RetrievalReport:
    """A report whose arrangements changed so from the first."""
    rows = []
    for number, change in enumerate(changes):
        value = 0.8 if change is None else 0.8 + change[1]
        told = None if change is None else {"recall@5": Change(value=change[1], low=change[2], high=change[3], p=0.01)}
        rows.append(
            Arrangement(
                name="plain" if change is None else change[0],
                queries="b0",
                gallery="b0",
                form="plain",
                gallery_bytes=1000 + number,
                figures={"recall@5": Figure(value=value, low=value - 0.01, high=value + 0.01)},
                change=told,
            )
        )
    return RetrievalReport(
        task="similar", metric="recall@5", base="plain", queries=9, left_out=0, units=9,
        gallery=9, correction="holm", resamples=99, notes=[], arrangements=rows, segments=[], worst=[],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "state", "text"),
    [
        ([None], "plain", "recall@5 is 0.800 (0.790 to 0.810)."),
        ([None, ("int8", -0.001, -0.004, 0.002)], "good", "No loss of recall@5 against plain is shown."),
        (
            [None, ("int8", -0.001, -0.004, 0.002), ("pq=4", -0.2, -0.3, -0.1)],
            "mixed",
            "pq=4 loses 0.200 of recall@5 against plain; the others show no loss.",
        ),
        (
            [None, ("pq=4", -0.2, -0.3, -0.1), ("pq=8", -0.1, -0.2, -0.05)],
            "bad",
            "pq=4, pq=8 lose 0.100 to 0.200 of recall@5 against plain.",
        ),
        ([None, ("pq=4", -0.2, -0.3, -0.1)], "bad", "pq=4 loses 0.200 of recall@5 against plain."),
    ],
)
def test_the_verdict(changes: list[tuple[str, float, float, float] | None], state: str, text: str) -> None:
    page = page_of_retrieval(made(*changes))
    assert (page.verdict.state, page.verdict.text) == (state, text)
    (arrangements,) = (part for part in page.sections if isinstance(part, Table) and "arrangement" in part.title)
    marks = [cell for row in arrangements.rows for cell in row.cells if isinstance(cell, Mark)]
    assert [mark.state == "bad" for mark in marks] == [change is not None and change[3] < 0 for change in changes]


def test_the_verdict_names_segments_that_are_served_worse(report: RetrievalReport) -> None:
    last = report.arrangements[-1].name
    marked = [
        row.model_copy(update={"worse": row.arrangement == last and row.segment == "bags"}) for row in report.segments
    ]
    verdict = page_of_retrieval(report.model_copy(update={"segments": marked})).verdict
    assert verdict.text.endswith(f"; {last} serves category bags worse than average.")
    assert verdict.state in ("mixed", "bad")


def test_pictures_are_those_of_the_ids_and_right_ones_are_marked(report: RetrievalReport, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    shown = {item.id for query in report.worst for item in query.found} | {query.id for query in report.worst}
    lost = report.worst[0].found[0].id
    for id in shown - {lost}:
        Image.new("RGB", (40, 30), "navy").save(photos / f"{id}.png")
    page = tmp_path / "page.html"
    write_retrieval_page(report, page, photos, command="edgekit evaluate retrieval small.parquet")
    text = page.read_text()
    assert text.count("<img") + text.count('<div class="none">') == sum(1 + len(query.found) for query in report.worst)
    assert text.count("✓ right") == sum(item.relevance > 0 for query in report.worst for item in query.found)
    assert f"1 of {len(shown)} pictures are not in the folder, such as {lost}" in text
    assert "edgekit evaluate retrieval small.parquet" in text
    again = tmp_path / "again.html"
    write_retrieval_page(report, again, photos, command="edgekit evaluate retrieval small.parquet")
    assert again.read_bytes() == page.read_bytes()


def test_pictures_that_cannot_be_shown_are_one_line(report: RetrievalReport, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "other.png")
    with pytest.raises(InputError, match="holds no image of"):
        write_retrieval_page(report, tmp_path / "page.html", tmp_path)
    with pytest.raises(UsageError, match="give `worst`"):
        write_retrieval_page(report.model_copy(update={"worst": []}), tmp_path / "page.html", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["other.png"]
