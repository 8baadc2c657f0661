"""The pages of experiments: the sentence that a manager reads first, then effects with their intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from edgekit.errors import UsageError
from edgekit.experiment.canary import CanaryResult, Guardrail
from edgekit.experiment.plan import ExperimentPlan, ExperimentPlanRequest, plan_experiment
from edgekit.experiment.result import Comparison, ExperimentResult
from edgekit.experiment.words import amount_of, percent, value_of
from edgekit.report.document import (
    Axis,
    Cell,
    Column,
    Command,
    Guide,
    Interval,
    Mark,
    Page,
    Point,
    Reach,
    Row,
    Scatter,
    Section,
    State,
    Table,
    Verdict,
)
from edgekit.report.write import write_page

__all__ = [
    "page_of_analysis",
    "page_of_canary",
    "page_of_plan",
    "write_analysis_page",
    "write_canary_page",
    "write_plan_page",
]

_STATES: dict[str, State] = {"better": "good", "worse": "bad", "different": "mixed", "not shown": "plain"}
_SHARES = (1 / 8, 8.0)  # of the planned units: from where to where a curve goes
_STEPS = 24  # of a curve


def write_analysis_page(result: ExperimentResult, page: Path | str, *, command: str = "") -> None:
    """Write what came of an experiment as one HTML file; OutputError where it cannot be written."""
    write_page(page_of_analysis(result, command), Path(page))


def write_canary_page(result: CanaryResult, page: Path | str, *, command: str = "") -> None:
    """Write the answer for a canary as one HTML file; OutputError where it cannot be written."""
    write_page(page_of_canary(result, command), Path(page))


def write_plan_page(
    plan: ExperimentPlan, request: ExperimentPlanRequest, page: Path | str, *, command: str = ""
) -> None:
    """Write a plan, with what fewer and more units would find, as one HTML file; OutputError where that fails."""
    write_page(page_of_plan(plan, request, command), Path(page))


def page_of_analysis(result: ExperimentResult, command: str = "") -> Page:
    """The effects of an experiment as a document."""
    facts = [
        ("control", result.control),
        ("rows", f"{result.rows:,}"),
        ("intervals", f"{100 * (1 - result.alpha):g} %" + ("" if result.sequential is None else ", at every look")),
        ("correction", result.correction),
        ("p of the arms' sizes", f"{result.assignment.p:.2g}"),
    ]
    sections: list[Section] = [_effects(result)] if result.comparisons else []
    sections.append(_arms(result))
    sections += [_looks(row) for row in result.comparisons if row.looks]
    return Page("Experiment", _found(result), facts, sections, _commands(command))


def _found(result: ExperimentResult) -> Verdict:
    """What each arm does to the metrics, in a sentence."""
    if result.assignment.broken:
        why = [
            f"The sizes of the arms would come about by chance in {_odds(result.assignment.p)}.",
            "Something removes or adds units in one arm, and has changed what is left: find the cause.",
        ]
        return Verdict("No metric is judged: the arms do not have the sizes that were planned.", "bad", why)
    parts = []
    for arm in dict.fromkeys(row.arm for row in result.comparisons):
        by = {
            verdict: [row.metric for row in result.comparisons if (row.arm, row.verdict) == (arm, verdict)]
            for verdict in _STATES
        }
        told = [f"{name} in {', '.join(by[name])}" for name in ("better", "worse", "different") if by[name]]
        if by["not shown"]:
            told.append(f"not shown to differ in {', '.join(by['not shown'])}")
        parts.append(f"{arm} is {'; '.join(told)}")
    verdicts = {row.verdict for row in result.comparisons}
    state: State = "plain"
    if verdicts & {"better", "worse", "different"}:
        state = (
            "good"
            if not verdicts & {"worse", "different"}
            else "bad"
            if verdicts <= {"worse", "not shown"}
            else "mixed"
        )
    sentences = [row.sentence for row in result.comparisons]
    return Verdict(f"Against {result.control}: {'. '.join(parts)}.", state, sentences)


def _odds(p: float) -> str:
    return f"1 of {1 / p:,.0f} experiments" if p > 1e-9 else "fewer than 1 of 1,000,000,000 experiments"


def _effects(result: ExperimentResult) -> Table:
    columns = [
        *(Column("metric"), Column("arm"), Column("verdict", "state")),
        Column("relative effect, drawn", "drawn", "%", 2),
        Column("relative effect", "number", "%", 2, signed=True),
        *(Column(result.control), Column("the arm"), Column("effect")),
        *(Column(name, "number", digits=4, tiny=True) for name in ("corrected p", "p")),
        *(Column("test"), Column("correlation", "number", digits=2, about="of metric and covariate, for CUPED")),
    ]
    note = "The grey line is no effect. The verdict follows the corrected p; intervals are those of one comparison."
    return Table("Effects", columns, [Row(_effect(row)) for row in result.comparisons], note)


def _effect(row: Comparison) -> Sequence[Cell]:
    relative: Cell = None if row.relative is None else 100 * row.relative
    drawn = None
    if row.relative is not None and row.relative_low is not None and row.relative_high is not None:
        ends = (100 * row.relative, 100 * row.relative_low, 100 * row.relative_high)
        relative, drawn = Interval(*ends), Reach(*ends, _STATES[row.verdict])
    low, high = (amount_of(end, row.kind) for end in (row.low, row.high))
    effect = f"{amount_of(row.effect, row.kind)}\n({low} to {high})"
    values = (value_of(row.control_value, row.kind), value_of(row.value, row.kind), effect)
    names = (row.metric, row.arm, Mark(row.verdict, _STATES[row.verdict]))
    return (*names, drawn, relative, *values, row.p_adjusted, row.p, row.test, row.correlation)


def _arms(result: ExperimentResult) -> Table:
    columns = [Column("arm"), *(Column(name, "number", digits=0) for name in ("units", "planned"))]
    columns.append(Column("more than planned", "number", "%", 2, signed=True))
    rows = [
        Row((arm.name, arm.units, arm.expected, 100 * (arm.units / arm.expected - 1) if arm.expected else None))
        for arm in result.assignment.arms
    ]
    p = f"p = {result.assignment.p:.2g}"
    told = f"Sample-ratio mismatch: {p}, below 0.001." if result.assignment.broken else f"As planned: {p}."
    return Table("Sizes of the arms", columns, rows, told)


def _looks(row: Comparison) -> Table:
    rate = row.kind == "rate"
    scale, unit = (100, "points") if rate else (1, "")
    columns = [
        *(Column("day"), Column("effect, drawn", "drawn", unit)),
        Column("effect", "number", unit, signed=True),
        Column("lowest p so far", "number", digits=4, tiny=True),
    ]
    rows = []
    for look in row.looks:
        ends = (scale * look.effect, scale * look.low, scale * look.high)
        drawn = Reach(*ends, "plain" if look.low <= 0 <= look.high else _STATES[row.verdict])
        rows.append(Row((f"{look.day}", drawn, Interval(*ends), look.p)))
    note = "Each interval holds at its look and at all earlier ones together."
    return Table(f"Day by day: {row.metric}, {row.arm}", columns, rows, note)


def page_of_canary(result: CanaryResult, command: str = "") -> Page:
    """The answer for a canary as a document."""
    heads: dict[str, tuple[str, State]] = {
        "continue": ("Continue: the canary keeps every limit.", "good"),
        "stop": ("Stop the canary: {} beyond the limit.", "bad"),
        "wait": ("Wait, and judge again later: too little is known of {}.", "mixed"),
    }
    text, state = heads[result.answer]
    to_blame = [row.name for row in result.guardrails if row.state == {"stop": "broken"}.get(result.answer, "open")]
    named = " and ".join(f"the {name}" for name in to_blame) + (
        {1: " is", 2: " are"}[len(to_blame)] if result.answer == "stop" else ""
    )
    verdict = Verdict(text.format(named), state, [row.sentence for row in result.guardrails])
    facts = [(f"requests of {arm}", f"{count:,}") for arm, count in result.requests.items()]
    sections = [_guardrail(row, list(result.requests)) for row in result.guardrails]
    return Page("Canary", verdict, facts, sections, _commands(command))


def _guardrail(row: Guardrail, arms: Sequence[str]) -> Table:
    rate = row.name == "error rate"
    unit, digits, scale = ("%", 3, 100.0) if rate else ("ms", 2, 1.0)
    change = "points" if rate else "%"
    limit = 100 * row.limit
    columns = [
        *(Column(arm, "number", unit, digits) for arm in arms),
        Column("worse by", "number", change, 2, signed=True),
        Column("drawn", "drawn", change, 2, signed=True, lines=(0.0, limit)),
        Column("limit", "number", change, 2, signed=True),
        Column("state", "state"),
    ]
    states: dict[str, State] = {"kept": "good", "broken": "bad", "open": "mixed"}
    worse, drawn = None, None
    if row.worse is not None:
        low, high = (
            end if known is None else 100 * known for known, end in ((row.low, -math.inf), (row.high, math.inf))
        )
        worse, drawn = Interval(100 * row.worse, low, high), Reach(100 * row.worse, low, high, states[row.state])
    cells: list[Cell] = [
        scale * row.stable,
        scale * row.canary,
        worse,
        drawn,
        limit,
        Mark(row.state, states[row.state]),
    ]
    note = "The interval holds at all looks together. The limit is kept once all of it lies left of the red line."
    return Table(f"{row.name[0].upper()}{row.name[1:]}", columns, [Row(cells)], note)


def page_of_plan(plan: ExperimentPlan, request: ExperimentPlanRequest, command: str = "") -> Page:
    """A plan as a document, with the power and the smallest effect that other numbers of units have."""
    facts = [
        ("worked out", plan.solved),
        ("baseline", value_of(plan.baseline, plan.kind)),
        (
            "effect",
            amount_of(plan.effect, plan.kind) + ("" if plan.relative is None else f" ({percent(plan.relative)})"),
        ),
        ("units, the control first", " / ".join(f"{arm:,}" for arm in plan.arms)),
        ("power", percent(plan.power)),
        ("alpha, two-sided", f"{plan.alpha:g}"),
    ]
    if plan.days is not None:
        facts.append(("days", f"{plan.days:,}"))
    if plan.correlation:
        facts.append(("correlation, for CUPED", f"{plan.correlation:g}"))
    sections = [*_power_curve(plan, request), *_effect_curve(plan, request)]
    return Page("Plan of an experiment", Verdict(plan.sentence), facts, sections, _commands(command))


def _power_curve(plan: ExperimentPlan, request: ExperimentPlanRequest) -> list[Section]:
    """The power of other numbers of units, for the planned effect."""
    others = _others(
        plan, lambda units: replace(request, units=units, effect=plan.effect, relative=None, days=None, power=None)
    )
    points = [_point(other, 100 * other.power, plan) for other in others]
    axes = Axis("units of all arms", digits=0, log=True), Axis("power", "%", 1)
    title = f"Power to find {amount_of(plan.effect, plan.kind)}"
    return [_curve(title, axes, points, [Guide("y", 100 * plan.power, f"{percent(plan.power)}, as planned")])]


def _effect_curve(plan: ExperimentPlan, request: ExperimentPlanRequest) -> list[Section]:
    """The smallest effect that other numbers of units find, with the planned power."""
    others = _others(
        plan, lambda units: replace(request, units=units, effect=None, relative=None, days=None, power=plan.power)
    )
    rate = plan.kind == "rate"
    points = [_point(other, (100 if rate else 1) * abs(other.effect), plan) for other in others]
    axes = Axis("units of all arms", digits=0, log=True), Axis("effect", "points" if rate else "", 4, log=True)
    return [_curve(f"Smallest effect that is found with a probability of {percent(plan.power)}", axes, points, [])]


def _curve(title: str, axes: tuple[Axis, Axis], points: Sequence[Point], guides: Sequence[Guide]) -> Scatter:
    return Scatter(title, *axes, points, guides=guides, ring="the plan", curve=True)


def _others(plan: ExperimentPlan, asked: Callable[[int], ExperimentPlanRequest]) -> list[ExperimentPlan]:
    """Plans with fewer and with more units; the planned number among them. Too few for any are left out."""
    low, high = (math.log(plan.units * share) for share in _SHARES)
    sizes = {round(math.exp(low + (high - low) * step / _STEPS)) for step in range(_STEPS + 1)} | {plan.units}
    found = []
    for units in sorted(sizes):
        try:
            found.append(plan_experiment(asked(units)))
        except UsageError:
            continue
    return found


def _point(other: ExperimentPlan, y: float, plan: ExperimentPlan) -> Point:
    days = "" if other.days is None else f"{other.days:,} day{'s' * (other.days > 1)}"
    chosen = other.units == plan.units
    return Point(
        "the plan" if chosen else f"{other.units:,} units", other.units, y, front=True, chosen=chosen, detail=days
    )


def _commands(command: str) -> list[Command]:
    return [Command("all figures of this page", command)] if command else []
