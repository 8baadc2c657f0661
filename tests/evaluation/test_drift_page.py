"""The page of an evaluation of drift says what its report says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import InputError, UsageError
from edgekit.evaluation.drift import DriftRequest, evaluate_drift
from edgekit.evaluation.drift_page import page_of_drift, write_drift_page
from edgekit.evaluation.drift_report import DriftReport
from edgekit.report.document import Mark, Page, Picture, Pictures, Reach, Table
from tests.evaluation.made import listings, write
from tests.report.all_pages import drift

VALUES, COLUMNS = listings(60)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> DriftReport:
    folder = tmp_path_factory.mktemp("files")
    old = write(folder / "old.parquet", VALUES, COLUMNS)
    new = write(folder / "new.parquet", VALUES + 1.0, COLUMNS)
    return evaluate_drift(DriftRequest(old, new, by=["style"], permutations=499, worst=4))


def table(page: Page, title: str) -> Table:
    (found,) = (part for part in page.sections if isinstance(part, Table) and part.title == title)
    return found


def test_every_test_is_there_with_its_limit(report: DriftReport) -> None:
    page = page_of_drift(report, command="edgekit evaluate drift old.parquet new.parquet")
    rows = table(page, "Tests").rows
    assert [row.cells[0] for row in rows] == [check.name for check in report.checks]
    for row, check in zip(rows, report.checks, strict=True):
        mark, drawn = row.cells[1], row.cells[5]
        assert isinstance(mark, Mark) and (mark.state == "bad") is check.drifted
        assert row.cells[2:5] == (check.p, check.statistic, check.limit)
        assert check.statistic is not None and check.limit is not None
        assert isinstance(drawn, Reach) and drawn.value == check.statistic / check.limit
    assert page.commands[0].line == "edgekit evaluate drift old.parquet new.parquet"
    shares = table(page, "Shares of the rows").rows
    assert [row.cells[0] for row in shares] == ["review", "seller"]
    assert [row.cells[2] for row in shares] == [50.0, 50.0]


def test_the_verdict_names_what_drifted_and_how_the_mix_moved() -> None:
    page = page_of_drift(drift("shoes"))
    assert page.verdict.state == "bad"
    assert page.verdict.text == "The embeddings drifted, by the tests of mix of shoes, shoes=shoes."
    assert page.verdict.why == [
        "2 of 3 tests found a change, at 1.00% of false alarms for all together.",
        "The mix of shoes changed, most of all shoes: 50.0% before, 40.0% now.",
        "Of the 10 nearest neighbours of an item, 25.0% are not the same any more.",
    ]
    assert [row.dim for row in table(page, "Tests").rows] == [False, False, False, True]


def test_no_drift_is_good_news() -> None:
    checks = [check.model_copy(update={"drifted": False}) for check in drift("shoes").checks]
    verdict = page_of_drift(drift("shoes").model_copy(update={"checks": checks, "alert": False})).verdict
    assert (verdict.text, verdict.state) == ("No drift is shown by 3 tests.", "good")


def test_items_are_a_table_or_pictures(report: DriftReport, tmp_path: Path) -> None:
    rows = table(page_of_drift(report), "Items that drifted most").rows
    assert [row.cells[:2] for row in rows] == [(item.id, item.by) for item in report.items]
    photos = tmp_path / "photos"
    photos.mkdir()
    for item in report.items[1:]:
        Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(photos / f"{item.id}.png")
    write_drift_page(report, tmp_path / "page.html", photos)
    text = (tmp_path / "page.html").read_text()
    assert text.count("<img") == 3 and text.count("no picture") == 1
    assert "1 of 4 pictures are not in the folder" in text
    (pictures,) = (part for part in page_of_drift(report, [Picture(None, "a")]).sections if isinstance(part, Pictures))
    assert pictures.pictures[0].caption == "a"


def test_pictures_that_cannot_be_shown_are_one_line(report: DriftReport, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "other.png")
    with pytest.raises(InputError, match="holds no image of"):
        write_drift_page(report, tmp_path / "page.html", tmp_path)
    with pytest.raises(UsageError, match="give `worst`"):
        write_drift_page(report.model_copy(update={"items": []}), tmp_path / "page.html", tmp_path)
    with pytest.raises(UsageError, match="a file that ends in"):
        write_drift_page(report, tmp_path / "page.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["other.png"]
