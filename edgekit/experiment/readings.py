"""What a table says of each metric: its value in every arm, from one row a unit or from totals of arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np

from edgekit.errors import InputError
from edgekit.experiment.bounds import FEWEST
from edgekit.experiment.metric import ExperimentMetric
from edgekit.experiment.moments import Level, cuped, level
from edgekit.experiment.table import Table, listed
from edgekit.experiment.units import Sample
from edgekit.support.text import shown

__all__ = ["Kind", "Reading", "is_aggregated", "of_totals", "of_units"]

Kind = Literal["rate", "mean", "ratio"]
_TOTALS = {"rate": ("successes",), "mean": ("mean", "sd")}
_MOST_ROWS = 100_000  # of a table of totals


@dataclass(frozen=True)
class Reading:
    """A metric in every arm, its correlation with its covariate, and its values up to each day that has enough units.

    `counted` says that the values are plain counts of successes, which have a test of their own.
    """

    metric: ExperimentMetric
    kind: Kind
    counted: bool
    levels: Mapping[str, Level]
    correlation: float | None = None
    days: Mapping[date, Mapping[str, Level]] | None = None


def is_aggregated(table: Table) -> bool:
    """Whether its rows are arms: it has a column `n`, with `successes`, or with `mean` and `sd`."""
    return "n" in table.names and any(set(columns) <= set(table.names) for columns in _TOTALS.values())


def of_units(sample: Sample, metrics: Sequence[ExperimentMetric], table: Table) -> list[Reading]:
    """The metrics of a sample of units or clusters.

    Raises:
        InputError: a column does not have the values of its metric's kind.
    """
    return [_of_units(sample, metric, table) for metric in metrics]


def of_totals(table: Table, arm: str) -> tuple[dict[str, float], list[Reading]]:
    """The units of each arm and the metrics of a table of totals: a row for each arm, or for each metric and arm where
    there is a column `metric`.

    Raises:
        InputError: a count is negative, broken or larger than its arm, a row is there twice, or there are totals of
            two kinds.
    """
    names = [name for name in ("successes", "mean", "sd") if name in table.names]
    if len(names) == 3:
        raise InputError(f"{shown(str(table.path))}: has successes as well as mean and sd; write a table for each")
    kind: Kind = "rate" if "successes" in names else "mean"
    texts = [arm, "metric"] if "metric" in table.names else [arm]
    held: dict[str, dict[str, Level]] = {}
    for batch in table.batches(texts, ["n", *names]):
        if batch.first + len(batch.numbers) - 1 > _MOST_ROWS:
            raise InputError(
                f"{shown(str(table.path))}: has over {_MOST_ROWS} rows of totals; is it one row for each unit?"
            )
        for place, values in enumerate(batch.numbers):
            row = dict(zip(("n", *names), map(float, values), strict=True))
            name, who = (str(batch.texts[text][place].as_py()) for text in (texts[-1], arm))
            own = held.setdefault(kind if len(texts) == 1 else name, {})
            where = f"{shown(str(table.path))}: row {batch.first + place}"
            if who in own:
                raise InputError(f"{where}: arm {shown(who, 60)!r} is there twice; add its rows up")
            own[who] = _total(row, kind, where)
    arms = {who: float(one.n) for own in held.values() for who, one in own.items()}
    for name, own in held.items():
        if lacking := sorted(set(arms) - set(own)):
            raise InputError(f"{shown(str(table.path))}: metric {shown(name, 60)!r} lacks the arm {listed(lacking)}")
    return arms, [Reading(ExperimentMetric(name=name), kind, kind == "rate", own) for name, own in held.items()]


def _total(row: Mapping[str, float], kind: Kind, where: str) -> Level:
    n = row["n"]
    whole = {name: row[name] for name in ("n", "successes") if name in row}
    for name, value in whole.items():
        if value < 0 or value != int(value):
            raise InputError(f"{where}: {name} is {value:g}; a count is a whole number of 0 or more")
    if n < 2:
        raise InputError(f"{where}: n is {n:g}; an arm needs 2 units or more")
    if kind == "rate":
        if row["successes"] > n:
            raise InputError(f"{where}: successes is {row['successes']:.0f}, more than the {n:.0f} units of its arm")
        share = row["successes"] / n
        return Level(n, np.asarray(share), np.asarray(share * (1 - share) * n / (n - 1)))
    if row["sd"] < 0:
        raise InputError(f"{where}: sd is {row['sd']:g}; a standard deviation is 0 or more")
    return Level(n, np.asarray(row["mean"]), np.asarray(row["sd"] ** 2))


def _of_units(sample: Sample, metric: ExperimentMetric, table: Table) -> Reading:
    kind = _kind_of(sample, metric, table)
    levels, correlation = _levels(sample, metric, table)
    days: dict[date, Mapping[str, Level]] = {}
    for day in sample.days:
        parts = [sample.of(arm, day) for arm in sample.arms]
        if all(part is not None and part.n >= FEWEST for part in parts):
            days[day] = _levels(sample, metric, table, day)[0]
    counted = kind == "rate" and not sample.clustered and metric.covariate is None
    return Reading(metric, kind, counted, levels, correlation, days)


def _levels(
    sample: Sample, metric: ExperimentMetric, table: Table, until: date | None = None
) -> tuple[dict[str, Level], float | None]:
    column = sample.columns.index(metric.source)
    per = len(sample.columns) if sample.clustered else None  # the number of rows
    if metric.per is not None:
        per = sample.columns.index(metric.per)
    parts: dict[str, Any] = {arm: sample.of(arm, until) for arm in sample.arms}
    for arm, part in parts.items():
        if part.n < 2:
            raise InputError(f"{shown(str(table.path))}: arm {shown(arm, 60)!r} has one unit; it needs 2 or more")
        if per is not None and not part.mean[per] > 0:
            raise InputError(
                f"{shown(str(table.path))}: column {shown(str(metric.per), 60)!r}, the denominator of "
                f"{shown(metric.name, 60)!r}, is 0 in all rows of arm {shown(arm, 60)!r}"
            )
    if metric.covariate is None:
        return {arm: level(part, column, per) for arm, part in parts.items()}, None
    # A covariate is a mean of its units; of the rows of clusters, as the metric is.
    pers = (per, len(sample.columns) if sample.clustered else None)
    adjusted, correlation = cuped([*parts.values()], column, sample.columns.index(metric.covariate), pers)
    return dict(zip(parts, adjusted, strict=True)), float(correlation)


def _kind_of(sample: Sample, metric: ExperimentMetric, table: Table) -> Kind:
    """What the metric is, once its columns' values are seen to fit."""
    where, name = shown(str(table.path)), shown(metric.name, 60)
    graded = sample.graded.get(metric.source)
    if metric.kind == "rate" and graded is not None:
        raise InputError(
            f"{where}: metric {name!r} is a rate, but its column has {graded[0]:g} in row {graded[1]}; a rate needs 0 "
            "and 1 alone"
        )
    if metric.per is None:
        return metric.kind or ("mean" if graded else "rate")
    lowest, row = sample.lowest[metric.per]
    if lowest < 0:
        raise InputError(
            f"{where}: column {shown(metric.per, 60)!r}, the denominator of {name!r}, is {lowest:g} in row {row}; a "
            "count is 0 or more"
        )
    return "ratio"
