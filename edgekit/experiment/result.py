"""What came of an experiment, in figures and in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from edgekit.errors import ExperimentError
from edgekit.experiment.readings import Kind

__all__ = ["Arm", "Assignment", "Comparison", "ExperimentResult", "Look", "Verdict"]

Verdict = Literal["better", "worse", "different", "not shown"]


@dataclass(frozen=True)
class Arm:
    """An arm, its units (clusters where there are any), and how many the planned shares expect."""

    name: str
    units: int
    expected: float


@dataclass(frozen=True)
class Assignment:
    """Whether the arms have the sizes that were planned: chi-square test, `broken` below a p-value of 0.001."""

    arms: tuple[Arm, ...]
    p: float
    broken: bool


@dataclass(frozen=True)
class Look:
    """What a sequential test said up to a day; `p` is the lowest up to there."""

    day: date
    effect: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A metric in one arm against the control. Figures that cannot be had are None.

    `low` and `high` bound the effect with 1 - alpha each; `p_adjusted` is corrected for all comparisons of the
    experiment, and the verdict follows it. `correlation` is that of metric and covariate.
    """

    metric: str
    kind: Kind
    test: str
    arm: str
    control_value: float
    value: float
    effect: float
    low: float
    high: float
    p: float
    p_adjusted: float
    relative: float | None
    relative_low: float | None
    relative_high: float | None
    correlation: float | None
    verdict: Verdict
    sentence: str
    looks: tuple[Look, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ExperimentResult:
    """All comparisons of an experiment; none where the assignment is broken."""

    control: str
    alpha: float
    correction: str
    sequential: int | None
    rows: int
    assignment: Assignment
    comparisons: tuple[Comparison, ...]

    def raise_for_assignment(self) -> None:
        """Raise ExperimentError where the arms do not have the sizes that were planned."""
        if not self.assignment.broken:
            return
        sizes = ", ".join(f"{arm.name} {arm.units} (planned {arm.expected:.0f})" for arm in self.assignment.arms)
        raise ExperimentError(
            f"sample-ratio mismatch: {sizes}, p = {self.assignment.p:.1g}; something removes or adds units in one arm, "
            "so no metric is judged: find the cause, or give the planned `shares`"
        )
