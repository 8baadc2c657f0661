"""The page of compatibility answers whether the old gallery must be embedded again."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import OutputError
from edgekit.evaluation.compatibility_page import page_of_compatibility, write_compatibility_page
from edgekit.report.document import Interval, Mark, Reach, Table
from tests.report.all_pages import compatibility


@pytest.mark.parametrize(
    ("unchanged", "adapter", "text", "state"),
    [
        (0.0, 0.0, "The old gallery need not be embedded again.", "good"),
        (-0.9, 0.0, "Embed the old gallery again; until then the least squares adapter serves.", "mixed"),
        (-0.9, -0.2, "Embed the old gallery again; no adapter serves until then.", "bad"),
    ],
)
def test_the_verdict(unchanged: float, adapter: float, text: str, state: str) -> None:
    verdict = page_of_compatibility(compatibility(unchanged=unchanged, adapter=adapter)).verdict
    assert (verdict.text, verdict.state, list(verdict.why)) == (text, state, ["A sentence of figures."])


def test_every_way_is_there_and_one_that_loses_all_does_not_squeeze_the_others() -> None:
    report = compatibility(unchanged=-0.9, adapter=0.0)
    (ways,) = page_of_compatibility(report, "edgekit evaluate compatibility").sections
    assert isinstance(ways, Table)
    assert len(ways.rows) == len(report.ways)
    drawn = ways.columns[3]
    assert list(drawn.lines) == [0.0, -report.max_drop]
    assert drawn.span is not None and -0.1 < drawn.span[0] <= -report.max_drop
    for row, way in zip(ways.rows, report.ways, strict=True):
        assert row.cells[1] == Interval(way.recall.value, way.recall.low, way.recall.high)
        reach, mark = row.cells[3], row.cells[-1]
        assert isinstance(mark, Mark)
        if way.change is None:
            assert (reach, mark.text) == (None, "the base")
        else:
            assert isinstance(reach, Reach) and (reach.low, reach.high) == (way.change.low, way.change.high)
            assert mark.text == ("serves" if way.change.low >= -report.max_drop else "may lose more")


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot write"):
        write_compatibility_page(compatibility(unchanged=0.0, adapter=0.0), tmp_path / "file" / "page.html")
