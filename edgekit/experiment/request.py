"""What is to be analyzed: which table, which of its columns say what, and how it is judged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgekit.errors import UsageError
from edgekit.experiment.bounds import FEWEST
from edgekit.experiment.metric import ExperimentMetric, metrics_of
from edgekit.experiment.table import Table, listed
from edgekit.experiment.units import Layout
from edgekit.support.fields import Converted, PathField, check_number

__all__ = ["CORRECTIONS", "ExperimentRequest", "control_of", "layout_of"]

CORRECTIONS = {"holm": "holm", "bh": "fdr_bh", "none": None}  # their names in statsmodels
_USUAL = {
    "arm": ("arm", "variant", "group", "bucket"),
    "unit": ("unit", "unit_id", "user", "user_id", "id"),
    "cluster": ("cluster", "cluster_id"),
    "day": ("date", "day"),
}
_CONTROLS = ("control", "stable", "baseline", "base", "a", "0", "off")


Shares = tuple[tuple[str, float], ...]


def _shares_of(given: Mapping[str, float] | Shares | str) -> Shares:
    """Weights of arms, or text as `control=9,new=1`."""
    try:
        if isinstance(given, str):
            pairs = [part.rpartition("=") for part in given.split(",")] if given else []
            given = {name.strip(): float(value) for name, _, value in pairs}
        weights = dict(given)
    except ValueError:
        weights = {"": math.nan}
    if any(not name or not 0 < weight < math.inf for name, weight in weights.items()):
        raise UsageError("`shares` takes each arm with a weight above 0, as control=9,new=1", field="shares")
    return tuple(weights.items())


@dataclass(frozen=True, kw_only=True)
class ExperimentRequest:
    """Which table to analyze, and how.

    A column that is None is found by its usual name. Without metrics, each column of numbers is one.
    """

    table: PathField = Converted(Path)
    metrics: Converted[Sequence[ExperimentMetric | str] | ExperimentMetric | str, tuple[ExperimentMetric, ...]] = (
        Converted(metrics_of, ())
    )
    control: str | None = None  # the arm that the others are compared with
    shares: Converted[Mapping[str, float] | Shares | str, Shares] = Converted(_shares_of, ())  # empty: equal
    alpha: float = 0.05
    correction: Literal["holm", "bh", "none"] = "holm"
    sequential: int | None = None  # units of all arms that are planned; then the answer holds at every look
    arm: str | None = None
    unit: str | None = None
    cluster: str | None = None
    day: str | None = None

    def __post_init__(self) -> None:
        """Raises UsageError where a value is none of those that can be meant."""
        check_number("alpha", self.alpha, 1e-9, 0.5, whole=False)
        if self.sequential is not None:
            check_number("sequential", self.sequential, 2 * FEWEST)
        if self.correction not in CORRECTIONS:
            names = ", ".join(CORRECTIONS)
            raise UsageError(f"`correction` is {self.correction!r}; choose from {names}", field="correction")


def layout_of(request: ExperimentRequest, table: Table) -> Layout:
    """Where arm, unit, cluster and day stand; the day is looked for only where the test is sequential.

    Raises:
        InputError: a named column is missing, or the arm's is not found.
    """
    found: dict[str, str | None] = {role: getattr(request, role) for role in _USUAL}
    table.require([name for name in found.values() if name is not None])
    for role, names in _USUAL.items():
        free = {name.lower(): name for name in table.names if name not in found.values()}
        found[role] = found[role] or next((free[name] for name in names if name in free), None)
    if found["arm"] is None:
        table.require(["arm"])
    named = [name for name in found.values() if name]
    if found["arm"] is None or len(set(named)) < len(named):
        raise UsageError("`arm`, `unit`, `cluster` and `day` are columns of their own; one is named twice", field="arm")
    day = found["day"] if request.sequential and not found["cluster"] else None
    return Layout(str(found["arm"]), found["unit"], found["cluster"], day)


def control_of(request: ExperimentRequest, arms: Sequence[str], table: Table) -> str:
    """The arm that the others are compared with.

    Raises:
        UsageError: it is not there, or not given and none has a usual name.
    """
    if request.control is not None and request.control in arms:
        return request.control
    usual = {arm.strip().lower(): arm for arm in arms}
    if request.control is None and (found := next((usual[name] for name in _CONTROLS if name in usual), None)):
        return found
    wrong = "is not given" if request.control is None else f"is {request.control!r}, which is no arm"
    raise UsageError(f"`control` {wrong}; choose from the arms of {table.path.name}: {listed(arms)}", field="control")
