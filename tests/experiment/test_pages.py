"""The pages of experiments say first what a manager asks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from edgekit.errors import OutputError
from edgekit.experiment.analyze import analyze_experiment
from edgekit.experiment.pages import (
    page_of_analysis,
    page_of_canary,
    page_of_plan,
    write_analysis_page,
    write_canary_page,
    write_plan_page,
)
from edgekit.experiment.plan import ExperimentPlanRequest, plan_experiment
from edgekit.experiment.request import ExperimentRequest
from edgekit.experiment.result import Verdict
from edgekit.report.document import Interval, Mark, Page, Reach, Scatter, Table
from tests.experiment.tables import shop, write
from tests.report.all_pages import Answer, analysis, canary


def table(page: Page, title: str) -> Table:
    (found,) = (part for part in page.sections if isinstance(part, Table) and part.title.startswith(title))
    return found


@pytest.mark.parametrize(
    ("verdicts", "state", "text"),
    [
        (("better", "not shown"), "good", "Against control: b is better in b 0; not shown to differ in b 1."),
        (("better", "worse"), "mixed", "Against control: b is better in b 0; worse in b 1."),
        (("worse", "not shown"), "bad", "Against control: b is worse in b 0; not shown to differ in b 1."),
        (("not shown",), "plain", "Against control: b is not shown to differ in b 0."),
        (("different",), "mixed", "Against control: b is different in b 0."),
    ],
)
def test_the_verdict_of_an_experiment(verdicts: tuple[Verdict, ...], state: str, text: str) -> None:
    page = page_of_analysis(analysis("b", verdicts=verdicts))
    assert (page.verdict.text, page.verdict.state) == (text, state)
    assert page.verdict.why == [f"b is {verdict}." for verdict in verdicts]


def test_a_mismatch_of_sizes_is_all_that_is_said() -> None:
    page = page_of_analysis(analysis("b", broken=True))
    assert page.verdict.state == "bad"
    assert page.verdict.text == "No metric is judged: the arms do not have the sizes that were planned."
    assert "1 of 1,000,000 experiments" in page.verdict.why[0]
    assert [part.title for part in page.sections] == ["Sizes of the arms"]
    assert "Sample-ratio mismatch" in table(page, "Sizes").note
    (_, fewer) = table(page, "Sizes").rows
    assert fewer.cells[-1] == pytest.approx(-10.0)


def test_effects_are_drawn_with_their_intervals() -> None:
    page = page_of_analysis(analysis("b"), "edgekit experiment analyze")
    effects = table(page, "Effects")
    first, last = effects.rows
    assert first.cells[3] == Reach(20.0, 10.0, 30.0, "good") and first.cells[4] == Interval(20.0, 10.0, 30.0)
    assert last.cells[3] is None and last.cells[4] is None  # its relative effect is not known
    looks = table(page, "Day by day").rows
    assert [row.cells[0] for row in looks] == ["2026-01-01", "2026-01-02"]
    assert [row.cells[1] for row in looks] == [Reach(1.0, -2.0, 4.0, "plain"), Reach(2.0, 1.0, 3.0, "good")]


def test_the_page_of_a_real_table_has_its_figures(tmp_path: Path) -> None:
    path = write(tmp_path / "shop.parquet", shop(lift=3.0))
    result = analyze_experiment(ExperimentRequest(table=path, metrics=["revenue:covariate=revenue_before,want=up"]))
    page = page_of_analysis(result)
    (row,) = table(page, "Effects").rows
    (found,) = result.comparisons
    drawn = row.cells[3]
    assert found.verdict == "better" and isinstance(drawn, Reach)
    assert found.relative is not None and drawn.value == pytest.approx(100 * found.relative)
    assert row.cells[-1] == found.correlation


@pytest.mark.parametrize(
    ("answer", "state", "text"),
    [
        ("continue", "good", "Continue: the canary keeps every limit."),
        ("stop", "bad", "Stop the canary: the p95 latency is beyond the limit."),
        ("wait", "mixed", "Wait, and judge again later: too little is known of the p95 latency."),
    ],
)
def test_the_verdict_of_a_canary(answer: Answer, state: str, text: str) -> None:
    page = page_of_canary(canary(answer))
    assert (page.verdict.text, page.verdict.state) == (text, state)
    (latency,), (errors,) = (table(page, title).rows for title in ("P95 latency", "Error rate"))
    drawn = latency.cells[3]
    assert isinstance(drawn, Reach) and (drawn.low, drawn.state) == (-5.0, state)
    assert drawn.high == (math.inf if answer == "wait" else 30.0)
    assert errors.cells[:2] == pytest.approx([1.0, 1.1]) and errors.cells[4] == 0.5
    assert errors.cells[-1] == Mark("kept", "good")


def test_the_curves_of_a_plan_rise_and_fall_and_hold_the_plan() -> None:
    request = ExperimentPlanRequest(baseline=0.1, relative=0.05, daily=20_000)
    plan = plan_experiment(request)
    page = page_of_plan(plan, request, "edgekit experiment plan")
    assert page.verdict.text == plan.sentence
    power, effect = (part for part in page.sections if isinstance(part, Scatter))
    assert len(power.points) == len(effect.points) == 25
    ups, downs = [point.y for point in power.points], [point.y for point in effect.points]
    assert ups == sorted(ups) and downs == sorted(downs, reverse=True)
    for plot, y in ((power, 100 * plan.power), (effect, 100 * plan.effect)):
        (chosen,) = (point for point in plot.points if point.chosen)
        assert (chosen.x, chosen.y) == (plan.units, pytest.approx(y, rel=1e-3))
        assert chosen.detail == "6 days"


def test_a_small_plan_leaves_out_what_cannot_be_run() -> None:
    request = ExperimentPlanRequest(baseline=10.0, sd=1.0, units=10)
    power, effect = (
        part for part in page_of_plan(plan_experiment(request), request).sections if isinstance(part, Scatter)
    )
    assert all(point.x >= 4 for plot in (power, effect) for point in plot.points)
    assert 10 in [point.x for point in power.points]


def test_each_is_written_with_equal_bytes_or_not_at_all(tmp_path: Path) -> None:
    request = ExperimentPlanRequest(baseline=0.1, relative=0.05)
    plan = plan_experiment(request)
    for name in ("one", "two"):
        write_analysis_page(analysis("b"), tmp_path / f"{name}-a.html", command="a")
        write_canary_page(canary("stop"), tmp_path / f"{name}-c.html", command="c")
        write_plan_page(plan, request, tmp_path / f"{name}-p.html", command="p")
    for kind in "acp":
        assert (tmp_path / f"one-{kind}.html").read_bytes() == (tmp_path / f"two-{kind}.html").read_bytes()
    with pytest.raises(OutputError, match="cannot write"):
        write_canary_page(canary("stop"), tmp_path / "one-a.html" / "page.html")
