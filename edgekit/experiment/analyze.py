"""What came of an A/B test: each metric in each arm against the control, and whether the arms may be compared at
all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from edgekit.errors import InputError, MissingDependencyError, UsageError
from edgekit.experiment.bounds import FEWEST
from edgekit.experiment.compare import Difference, Interval, compare_rates, sequential_test, welch_test
from edgekit.experiment.metric import ExperimentMetric, guess_metrics
from edgekit.experiment.moments import Level
from edgekit.experiment.readings import Reading, is_aggregated, of_totals, of_units
from edgekit.experiment.request import CORRECTIONS, ExperimentRequest, control_of, layout_of
from edgekit.experiment.result import Arm, Assignment, Comparison, ExperimentResult, Look, Verdict
from edgekit.experiment.table import Table, listed, open_table
from edgekit.experiment.units import read_units
from edgekit.experiment.words import sentence_of
from edgekit.support.progress import Reporter, Silent
from edgekit.support.text import shown

__all__ = ["analyze_experiment", "assignment_of"]

_ROUNDING = 1e-12  # share of a value
_MISMATCH = (
    0.001  # Fabijan et al., 2019, "Diagnosing Sample Ratio Mismatch", and Kohavi et al., 2020, use levels near it
)


def analyze_experiment(request: ExperimentRequest, reporter: Reporter | None = None) -> ExperimentResult:
    """Compare the arms of an experiment, metric by metric.

    Rates are compared by the score test of two proportions, means by Welch's t-test, ratios and clusters by the delta
    method, metrics with a covariate after CUPED. With `sequential` all p-values and intervals hold at every look.

    Raises:
        InputError: the table cannot be read, or cannot be an experiment's: one arm, units in two arms, no spread.
        UsageError: a metric, an arm or a combination is not there.
        MissingDependencyError: scipy, statsmodels or pyarrow is not installed.
    """
    _check_libraries()
    table = open_table(request.table)
    read = _read_totals if request.unit is None and is_aggregated(table) else _read_units
    units, readings, rows = read(request, table, reporter or Silent())
    control = control_of(request, sorted(units), table)
    if len(units) < 2:
        raise InputError(
            f"{shown(str(table.path))}: has one arm, {listed([*units])}; an experiment needs a control as well"
        )
    assignment = assignment_of({control: units[control], **dict(sorted(units.items()))}, dict(request.shares))
    judged = (
        [] if assignment.broken else [row for reading in readings for row in _compare(reading, control, request, table)]
    )
    return ExperimentResult(
        control=control,
        alpha=request.alpha,
        correction=request.correction,
        sequential=request.sequential,
        rows=rows,
        assignment=assignment,
        comparisons=tuple(_judge(judged, readings, request, control)),
    )


def assignment_of(units: Mapping[str, float], shares: Mapping[str, float]) -> Assignment:
    """Compare the arms' sizes with their planned shares, equal where `shares` is empty.

    Raises:
        UsageError: `shares` names other arms than there are.
    """
    from scipy import stats

    if shares and set(shares) != set(units):
        raise UsageError(
            f"`shares` has {listed([*shares])}, and the arms are {listed([*units])}; name each", field="shares"
        )
    weights = np.asarray([shares.get(arm, 1.0) for arm in units])
    seen = np.asarray([*units.values()], float)
    expected = seen.sum() * weights / weights.sum()
    p = float(stats.chisquare(seen, expected).pvalue)
    arms = tuple(Arm(arm, round(n), float(due)) for (arm, n), due in zip(units.items(), expected, strict=True))
    return Assignment(arms, p, p < _MISMATCH)


Readings = tuple[Mapping[str, float], Sequence[Reading], int]


def _read_totals(request: ExperimentRequest, table: Table, reporter: Reporter) -> Readings:
    if request.cluster:
        raise UsageError(f"{table.path.name} has totals of arms: `cluster` has no use; leave it out", field="cluster")
    units, readings = of_totals(table, layout_of(request, table).arm)
    if request.metrics:
        readings = [*_chosen(request.metrics, readings, table)]
    return units, readings, sum(len(reading.levels) for reading in readings)


def _chosen(metrics: Sequence[ExperimentMetric], readings: Sequence[Reading], table: Table) -> Iterator[Reading]:
    """The readings of totals that are asked for, with the direction that is wanted."""
    there = {reading.metric.name: reading for reading in readings}
    for metric in metrics:
        if metric.model_fields_set - {"name", "want"}:
            raise UsageError(
                f"`metrics`: {table.path.name} has totals of arms, of which a metric has a name and want alone",
                field="metrics",
            )
        if metric.name not in there:
            raise InputError(
                f"{shown(str(table.path))}: has no metric {shown(metric.name, 60)!r}; it has {listed([*there])}"
            )
        yield replace(there[metric.name], metric=metric)


def _read_units(request: ExperimentRequest, table: Table, reporter: Reporter) -> Readings:
    layout = layout_of(request, table)
    taken = [*layout.texts, *([layout.day] if layout.day else [])]
    metrics = request.metrics or guess_metrics(table.numeric, taken)
    if not metrics:
        next(table.batches([layout.arm], []))  # raises where there is no row, whose columns have no type either
        raise InputError(
            f"{shown(str(table.path))}: has no column of numbers for a metric; its columns are {listed(table.names)}"
        )
    columns = list(dict.fromkeys(column for metric in metrics for column in metric.columns))
    table.require(columns)
    if layout.unit is None and layout.cluster is None:
        reporter.note(f"{table.path.name} has no column of units: whether one is in two arms cannot be seen")
    sample = read_units(table, layout, columns, reporter)
    units: dict[str, float] = {}
    for arm in sample.arms:
        part = sample.of(arm)
        units[arm] = float(part.n) if part else 0.0
    return units, of_units(sample, metrics, table), sample.rows


@dataclass(frozen=True)
class _Row:
    """A comparison before it is corrected for the others."""

    reading: Reading
    arm: str
    test: str
    levels: tuple[Level, Level]
    found: Difference
    history: Mapping[date, Difference]


def _compare(reading: Reading, control: str, request: ExperimentRequest, table: Table) -> Iterator[_Row]:
    """The metric in each arm but the control."""
    ours = reading.levels[control]
    for arm in sorted(set(reading.levels) - {control}):
        level = reading.levels[arm]
        where = f"{shown(str(table.path))}: metric {shown(reading.metric.name, 60)!r}"
        if abs(reading.correlation or 0) > 1 - _ROUNDING:
            raise InputError(f"{where} is the same as its covariate; name a column from before the experiment")
        if not _spread(ours, level):
            raise InputError(
                f"{where} has no spread in {shown(control, 60)} and {shown(arm, 60)}: every unit has the same value "
                f"({float(ours.value):g} and {float(level.value):g}), so no test can be made; leave it out, or check "
                "its column"
            )
        if request.sequential is not None and min(level.n, ours.n) < FEWEST:
            fewest = min((ours.n, control), (level.n, arm))
            raise InputError(
                f"{where}: arm {shown(fewest[1], 60)!r} has {fewest[0]:.0f} units; `sequential` needs {FEWEST}"
            )
        test, found = _test(reading, (ours, level), request)
        yield _Row(reading, arm, test, (ours, level), found, dict(_history(reading, control, arm, request)))


def _test(reading: Reading, levels: tuple[Level, Level], request: ExperimentRequest) -> tuple[str, Difference]:
    if request.sequential is not None:
        return "always valid", sequential_test(*levels, request.alpha, request.sequential)
    if reading.counted:
        return "two proportions", compare_rates(*levels, request.alpha)
    return "Welch", welch_test(*levels, request.alpha)


def _history(reading: Reading, control: str, arm: str, request: ExperimentRequest) -> Iterator[tuple[date, Difference]]:
    """What a sequential test says day by day; days without spread say nothing."""
    for day, levels in sorted((reading.days or {}).items()):
        if request.sequential is not None and _spread(levels[control], levels[arm]):
            yield day, sequential_test(levels[control], levels[arm], request.alpha, request.sequential)


def _looks(row: _Row) -> Iterator[Look]:
    lowest = 1.0
    for day, found in row.history.items():
        lowest = min(lowest, float(found.p))
        low, high = map(float, found.interval)
        yield Look(day, float(found.effect), low, high, lowest)


def _judge(
    rows: Sequence[_Row], readings: Sequence[Reading], request: ExperimentRequest, control: str
) -> Iterator[Comparison]:
    """Correct the p-values for each other, and say what each row shows."""
    from statsmodels.stats.multitest import multipletests

    found = [min(float(one.p) for one in (row.found, *row.history.values())) for row in rows]  # each look was valid
    method = CORRECTIONS[request.correction]
    adjusted = multipletests(found, alpha=request.alpha, method=method)[1] if method and found else found
    for row, p, corrected in zip(rows, found, adjusted, strict=True):
        own, metric = row.found, row.reading.metric
        low, high = _common([own.interval, *(one.interval for one in row.history.values())])
        relative = _common([own.relative_interval, *(one.relative_interval for one in row.history.values())])
        comparison = Comparison(
            metric=metric.name,
            kind=row.reading.kind,
            test=row.test + ("" if metric.covariate is None else ", CUPED"),
            arm=row.arm,
            control_value=float(row.levels[0].value),
            value=float(row.levels[1].value),
            effect=float(own.effect),
            low=low,
            high=high,
            p=p,
            p_adjusted=float(corrected),
            relative=_known(float(own.relative)),
            relative_low=_known(relative[0]),
            relative_high=_known(relative[1]),
            correlation=row.reading.correlation,
            verdict=_verdict(float(own.effect), float(corrected) <= request.alpha, metric.want),
            sentence="",
            looks=tuple(_looks(row)),
        )
        words = sentence_of(comparison, control, request.alpha, len(rows), sequential=request.sequential is not None)
        yield replace(comparison, sentence=words)


def _common(intervals: Sequence[Interval]) -> tuple[float, float]:
    """What the intervals of all looks have in common, or the first one where they have nothing."""
    last = (float(intervals[0][0]), float(intervals[0][1]))
    if not np.isfinite(last).all():
        return last
    low, high = float(np.nanmax([one[0] for one in intervals])), float(np.nanmin([one[1] for one in intervals]))
    return (low, high) if low <= high else last


def _spread(control: Level, arm: Level) -> bool:
    """Whether the units differ at all, by more than rounding."""
    return any(float(one.variance) > (_ROUNDING * float(one.value)) ** 2 for one in (control, arm))


def _verdict(effect: float, shown_: bool, want: str | None) -> Verdict:
    if not shown_:
        return "not shown"
    if want is None:
        return "different"
    return "better" if (effect > 0) == (want == "up") else "worse"


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _check_libraries() -> None:
    try:
        import pyarrow
        import scipy
        import statsmodels
    except ImportError as error:
        raise MissingDependencyError(f"{error}: run `pip install 'edgekit[evaluate]'`") from None
    del pyarrow, scipy, statsmodels
