"""`edgekit experiment`: plan an A/B test, analyze it, and judge a canary."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import print_facts, print_json, typed_command
from edgekit.cli.groups import DefaultGroup
from edgekit.cli.options import PATH, PERCENT, Count, Finite, common, page_option, reporter_of
from edgekit.support.progress import table

if TYPE_CHECKING:
    from edgekit.experiment.canary import CanaryResult
    from edgekit.experiment.plan import ExperimentPlan
    from edgekit.experiment.result import Comparison, ExperimentResult

__all__ = ["experiment", "experiment_analyze", "experiment_canary", "experiment_plan"]

_COLUMNS = ("metric", "arm", "control", "arm's value", "effect", "interval", "relative", "p", "corrected p", "verdict")


def _column(name: str, text: str, usual: str) -> Any:
    """The option that names a column, which is found by a usual name where it is not given."""
    return click.option(f"--{name}", metavar="COLUMN", help=f"Column of {text}.  [default: {usual}]")


@click.group(cls=DefaultGroup)
def experiment() -> None:
    """Plan A/B tests, analyze them, and judge canary releases.

    `edgekit experiment FILE` is short for `edgekit experiment analyze FILE`.

    \b
    edgekit experiment plan --baseline 0.1 --relative 5% --daily 20000
    edgekit experiment analyze results.parquet --metric orders:want=up
    edgekit experiment canary requests.csv --max-slower 5%
    """


@experiment.command("analyze")
@click.argument("path", type=PATH, metavar="FILE")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME[:KEY=VALUE,...]",
    help="A metric: its column, and kind=rate|mean|ratio, column=, per= (the denominator of a ratio), covariate= (a "
    "column from before the experiment, for CUPED), want=up|down. Or a .toml file of metrics. May be repeated.  "
    "[default: each column of numbers]",
)
@click.option("--control", metavar="ARM", help="Arm that the others are compared with.  [default: the one called so]")
@click.option("--shares", default="", metavar="ARM=WEIGHT,...", help="Planned sizes of the arms.  [default: equal]")
@click.option("--alpha", type=Finite(0, 0.5, min_open=True), default=0.05, help="Share of false alarms to accept.")
@click.option(
    "--correction",
    type=click.Choice(["holm", "bh", "none"]),
    default="holm",
    help="Correct the p-values for the number of comparisons: holm bounds the chance of any false alarm, bh "
    "(Benjamini-Hochberg) the share of false ones among the alarms.",
)
@click.option(
    "--sequential",
    type=Count(200),
    metavar="UNITS",
    help="Make p-values and intervals that hold at every look, so that you may look daily and stop early. UNITS is how "
    "many units are planned in all arms; the same at every look.",
)
@_column("arm", "the arm", "arm, variant or group")
@_column("unit", "the unit that was assigned, which has one row", "unit, user or id")
@_column("cluster", "what was assigned where it has several rows, as a user with sessions", "cluster")
@_column("day", "the day on which a unit came, for --sequential", "date or day")
@page_option
@common
def experiment_analyze(path: Path, page: Path | None, as_json: bool, quiet: bool, **asked: Any) -> None:
    """Compare the arms of the experiment in FILE, metric by metric.

    FILE is Parquet or CSV: a row for each unit, or for each arm with the columns arm, n and successes, or arm, n, mean
    and sd.
    """
    from edgekit import ExperimentRequest, analyze_experiment
    from edgekit.experiment.pages import write_analysis_page
    from edgekit.report.write import check_name

    check_name(page)
    result = analyze_experiment(ExperimentRequest(table=path, **asked), reporter_of(quiet or as_json))
    _show_result(result, as_json=as_json)
    if page is not None:
        write_analysis_page(result, page, command=typed_command())
        click.echo(str(page), err=as_json)
    result.raise_for_assignment()


@experiment.command("plan")
@click.option("--baseline", type=float, required=True, help="The metric today: a rate from 0 to 1, or a mean.")
@click.option(
    "--sd",
    type=float,
    help="Standard deviation of a unit's value, which makes the metric a mean. Of a ratio, the standard error that it "
    "had, times the square root of the units.",
)
@click.option("--effect", type=float, help="Smallest difference that is worth finding, in the metric's unit.")
@click.option("--relative", type=PERCENT, help="The same as a share of the baseline.")
@click.option("--units", type=Count(4), help="Units of all arms together.")
@click.option("--days", type=Count(1), help="Days that the experiment may take, in place of --units.")
@click.option("--daily", type=Finite(0, min_open=True), help="Units a day that could take part.")
@click.option("--share", type=PERCENT, default=1.0, help="Share of them that takes part.")
@click.option("--power", type=PERCENT, help="Probability that the effect is found.  [default: 80%]")
@click.option("--alpha", type=Finite(0, 0.5, min_open=True), default=0.05, help="Share of false alarms to accept.")
@click.option(
    "--split", default="50/50", metavar="WEIGHTS", help="Weights of the arms, the control first, as 80/10/10."
)
@click.option(
    "--correlation",
    type=Finite(-0.999, 0.999),
    default=0.0,
    help="Correlation of the metric with its value before the experiment, where CUPED is to be used.",
)
@page_option
@common
def experiment_plan(page: Path | None, as_json: bool, quiet: bool, **asked: Any) -> None:
    """Work out the units, the smallest effect, or the power of an A/B test, from the two others."""
    from edgekit import ExperimentPlanRequest, plan_experiment
    from edgekit.experiment.pages import write_plan_page
    from edgekit.report.write import check_name

    check_name(page)
    request = ExperimentPlanRequest(**asked)
    plan = plan_experiment(request)
    _show_plan(plan, as_json=as_json)
    if page is not None:
        write_plan_page(plan, request, page, command=typed_command())
        click.echo(str(page), err=as_json)


@experiment.command("canary")
@click.argument("path", type=PATH, metavar="FILE")
@click.option("--stable", metavar="ARM", help="Arm of the stable release.  [default: the one called so]")
@_column("arm", "the release", "arm, release or version")
@_column("latency", "latencies in milliseconds", "latency_ms, latency or duration_ms")
@_column("errors", "errors: 0 or 1, or counts where there is a column n", "errors, error or failed")
@click.option("--latency-at", default="p95", metavar="PERCENTILE", help="Percentile of the latency to judge, or mean.")
@click.option("--max-slower", type=PERCENT, default=0.1, help="How much slower the canary may be.")
@click.option(
    "--max-more-errors", type=PERCENT, default=0.005, help="How much higher its error rate may be, in points."
)
@click.option("--alpha", type=Finite(0, 0.5, min_open=True), default=0.05, help="Share of wrong answers to accept.")
@page_option
@common
def experiment_canary(path: Path, page: Path | None, as_json: bool, quiet: bool, **asked: Any) -> None:
    """Judge whether the canary release in FILE may continue, must stop, or has to wait for more requests.

    FILE is Parquet or CSV with a row for each request, or with counts of errors and a column n. It may be judged every
    few minutes. Exit codes: 0 continue, 16 stop, 17 wait.
    """
    from edgekit import CanaryRequest, judge_canary
    from edgekit.experiment.pages import write_canary_page
    from edgekit.report.write import check_name

    check_name(page)
    result = judge_canary(CanaryRequest(table=path, **asked), reporter_of(quiet or as_json))
    _show_canary(result, as_json=as_json)
    if page is not None:
        write_canary_page(result, page, command=typed_command())
        click.echo(str(page), err=as_json)
    result.raise_for_answer()


def _show_result(result: ExperimentResult, *, as_json: bool) -> None:
    """Sizes of the arms, the comparisons, and a sentence for each."""
    if as_json:
        print_json(_plain(result))
        return
    arms = [(arm.name, f"{arm.units:,}", f"{arm.expected:,.0f}") for arm in result.assignment.arms]
    table(f"Arms; p = {result.assignment.p:.2g}", ("arm", "units", "planned"), arms, right=("units", "planned"))
    if result.comparisons:
        title = f"Against {result.control}, {100 * (1 - result.alpha):g} % intervals, correction {result.correction}"
        right = ("control", "arm's value", "effect", "p", "corrected p")
        table(title, _COLUMNS, [_cells(row) for row in result.comparisons], right=right)
    for row in result.comparisons:
        click.echo(row.sentence)


def _cells(row: Comparison) -> tuple[str, ...]:
    from edgekit.experiment.words import amount_of, percent, value_of

    relative = "-" if row.relative is None else percent(row.relative)
    if row.relative_low is not None and row.relative_high is not None:
        relative += f" ({percent(row.relative_low)} to {percent(row.relative_high)})"
    return (
        row.metric,
        row.arm,
        value_of(row.control_value, row.kind),
        value_of(row.value, row.kind),
        amount_of(row.effect, row.kind),
        f"{amount_of(row.low, row.kind)} to {amount_of(row.high, row.kind)}",
        relative,
        f"{row.p:.2g}",
        f"{row.p_adjusted:.2g}",
        row.verdict,
    )


def _show_plan(plan: ExperimentPlan, *, as_json: bool) -> None:
    if as_json:
        print_json(_plain(plan))
        return
    from edgekit.experiment.words import amount_of, percent, value_of

    facts: dict[str, object] = {
        "baseline": value_of(plan.baseline, plan.kind),
        "effect": amount_of(plan.effect, plan.kind) + ("" if plan.relative is None else f" ({percent(plan.relative)})"),
        "units, the control first": " / ".join(f"{arm:,}" for arm in plan.arms),
        "units of all arms": f"{plan.units:,}",
        "power": percent(plan.power),
        "alpha, two-sided": f"{plan.alpha:g}"
        + ("" if plan.alpha_each == plan.alpha else f" ({plan.alpha_each:g} an arm)"),
    }
    if plan.days is not None:
        facts["days"] = plan.days
    print_facts(f"Plan, worked out for the {plan.solved}", facts)
    click.echo(plan.sentence)


def _show_canary(result: CanaryResult, *, as_json: bool) -> None:
    if as_json:
        print_json(_plain(result))
        return
    requests = " and ".join(f"{count:,} of {arm}" for arm, count in result.requests.items())
    rows = [(row.name, row.state, row.sentence) for row in result.guardrails]
    table(f"{result.answer.capitalize()}, after requests: {requests}", ("guardrail", "state", "why"), rows)


def _plain(result: ExperimentPlan | ExperimentResult | CanaryResult) -> object:
    """As JSON has it; days are written as in 2026-01-31."""
    import json

    return json.loads(json.dumps(dataclasses.asdict(result), default=str, allow_nan=False))
