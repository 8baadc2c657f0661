"""How many units an A/B test needs, for how long, or what it can find with those that there are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from edgekit.errors import MissingDependencyError, UsageError
from edgekit.experiment.words import amount_of, percent, value_of
from edgekit.support.fields import Converted, check_number

__all__ = ["ExperimentPlan", "ExperimentPlanRequest", "plan_experiment"]

_POWER = 0.8  # where neither it nor two others are given
_MOST = 1e12  # units of the control
_LARGE = 10_000  # units from which Student's t is the normal distribution
PowerOf = Callable[[float, float, float], float]
_UNITS = "give `units`, or `days` and `daily`"


def _weights_of(given: Sequence[float] | str) -> tuple[float, ...]:
    """Weights of the arms, the control first, or text as `50/50`."""
    try:
        weights = tuple(float(weight) for weight in (given.split("/") if isinstance(given, str) else given))
    except ValueError:
        weights = ()
    if len(weights) < 2 or not all(0 < weight < math.inf for weight in weights):
        raise UsageError(
            f"`split` is {given!r}; give weights above 0, the control first, as 50/50 or 80/10/10", field="split"
        )
    return weights


@dataclass(frozen=True, kw_only=True)
class ExperimentPlanRequest:
    """A metric and two of its effect, the units and the power; the third is what is asked for.

    With a standard deviation of its units the metric is a mean, or a ratio whose deviation is the delta method's;
    without one it is a rate.
    """

    baseline: float
    sd: float | None = None
    effect: float | None = None  # absolute; a rate's as a share
    relative: float | None = None  # the effect as a share of the baseline
    units: int | None = None  # of all arms together
    days: int | None = None
    daily: float | None = None  # units a day that could take part
    share: float = 1.0  # of them that does
    power: float | None = None
    alpha: float = 0.05  # two-sided; divided by the number of arms beside the control
    split: Converted[Sequence[float] | str, tuple[float, ...]] = Converted(_weights_of, (1.0, 1.0))
    correlation: float = 0.0  # of the metric with its covariate, for CUPED

    def __post_init__(self) -> None:
        """Raises UsageError where values are none of those that can be meant together."""
        check_number("alpha", self.alpha, 1e-9, 0.5, whole=False)
        check_number("correlation", self.correlation, -0.999, 0.999, whole=False)
        check_number("share", self.share, 1e-9, 1, whole=False)
        if self.sd is None:
            check_number("baseline", self.baseline, whole=False, low=-math.inf)
            if not 1e-12 <= self.baseline <= 1 - 1e-12:
                raise UsageError(
                    f"`baseline` is {self.baseline!r}; a rate lies between 0 and 1, of a mean give the `sd` as well",
                    field="baseline",
                )
        else:
            check_number("sd", self.sd, 1e-300, 1e300, whole=False)
            check_number("baseline", self.baseline, -1e300, 1e300, whole=False)
        for field, low in (("units", 2 * len(self.split)), ("days", 1)):
            if getattr(self, field) is not None:
                check_number(field, getattr(self, field), low, _MOST)
        if self.daily is not None:
            check_number("daily", self.daily, 1e-9, _MOST, whole=False)
        if self.power is not None:
            check_number("power", self.power, self.alpha * 1.001, 1 - 1e-9, whole=False)
        self._check_together()

    def _check_together(self) -> None:
        if self.effect is not None and self.relative is not None:
            raise UsageError("`effect` and `relative` say the same; give one of them", field="relative")
        if self.units is not None and self.days is not None:
            raise UsageError("`units` and `days` say the same; give one of them", field="days")
        if self.days is not None and self.daily is None:
            raise UsageError("`days` needs `daily`, the units of a day; give it", field="daily")
        if self.relative is not None and self.baseline == 0:
            raise UsageError("`relative` has no meaning for a `baseline` of 0; give `effect`", field="relative")
        effect = self.asked_effect
        if effect is not None and (not math.isfinite(effect) or effect == 0):
            raise UsageError(f"`effect` is {effect:g}; give a difference that is worth finding", field="effect")
        if effect is not None and self.sd is None and not 0 < self.baseline + effect < 1:
            raise UsageError(
                f"`effect` takes the rate from {self.baseline:g} to {self.baseline + effect:g}; a rate lies between 0 "
                "and 1",
                field="effect",
            )
        sized = self.units is not None or self.days is not None
        if effect is None and not sized:
            raise UsageError(
                "nothing says how large the experiment is, or what it is to find: give `effect` or `relative`, or "
                f"{_UNITS}",
                field="effect",
            )
        if effect is not None and sized and self.power is not None:
            raise UsageError(
                "effect, units and power are all given; leave out `power`, or what is to be worked out", field="power"
            )

    @property
    def asked_effect(self) -> float | None:
        """The absolute effect, where one is asked for."""
        return self.effect if self.relative is None else self.relative * self.baseline

    @property
    def asked_units(self) -> int | None:
        """The units of all arms, where they are given or follow from the days."""
        if self.days is None or self.daily is None:
            return self.units
        return math.floor(self.days * self.daily * self.share)


@dataclass(frozen=True, kw_only=True)
class ExperimentPlan:
    """An experiment that can be run: `arms` are the units of each arm, the control first; `days` None without
    traffic.
    """

    kind: Literal["rate", "mean"]
    solved: Literal["units", "effect", "power"]
    baseline: float
    effect: float
    relative: float | None
    arms: tuple[int, ...]
    units: int
    days: int | None
    power: float
    alpha: float
    alpha_each: float
    correlation: float
    sentence: str


def plan_experiment(request: ExperimentPlanRequest) -> ExperimentPlan:
    """Work out what is not given of effect, units and power, for a two-sided test by statsmodels' power functions.

    Rates have the power of the score test, means that of the t-test. CUPED leaves 1 - correlation**2 of the variance
    (Deng et al., 2013). Of several arms beside the control the smallest has the power, at alpha over their number
    (Bonferroni).

    Raises:
        UsageError: no number of units, or no effect, gives that power.
        MissingDependencyError: statsmodels is not installed.
    """
    try:
        import statsmodels
    except ImportError:
        raise MissingDependencyError("planning needs statsmodels: run `pip install 'edgekit[evaluate]'`") from None
    del statsmodels
    weights, effect, units = request.split, request.asked_effect, request.asked_units
    power_of = _power_of(request)
    solved: Literal["units", "effect", "power"] = "power"
    target = _POWER if request.power is None else request.power
    if units is None and effect is not None:
        solved = "units"
        ratio = min(weights[1:]) / weights[0]
        control = _root(partial(_missing, power_of, effect, ratio, target), max(2.0, 2.0 / ratio), _MOST)
        if control is None:
            raise UsageError(f"`effect` of {effect:g} needs over {_MOST:g} units; ask for a larger one", field="effect")
        arms = tuple(math.ceil(control * weight / weights[0] - 1e-9) for weight in weights)
    else:
        arms = _shared_out(units or 0, weights)
    if effect is None:
        solved = "effect"
        effect = _least_effect(request, lambda size: power_of(size, arms[0], min(arms[1:])) - target, arms)
    days = None if request.daily is None else math.ceil(sum(arms) / (request.daily * request.share) - 1e-9)
    power = power_of(effect, arms[0], min(arms[1:]))
    return ExperimentPlan(
        kind="rate" if request.sd is None else "mean",
        solved=solved,
        baseline=request.baseline,
        effect=effect,
        relative=effect / request.baseline if request.baseline else None,
        arms=arms,
        units=sum(arms),
        days=request.days or days,
        power=power,
        alpha=request.alpha,
        alpha_each=_alpha_each(request),
        correlation=request.correlation,
        sentence=_sentence(request, effect, arms, request.days or days, power),
    )


def _missing(power_of: PowerOf, effect: float, ratio: float, target: float, control: float) -> float:
    return power_of(effect, control, control * ratio) - target


def _alpha_each(request: ExperimentPlanRequest) -> float:
    return request.alpha / (len(request.split) - 1)


def _power_of(request: ExperimentPlanRequest) -> PowerOf:
    """The power as a function of the absolute effect, the control's units and the arm's."""
    from statsmodels.stats.power import NormalIndPower, TTestIndPower
    from statsmodels.stats.proportion import power_proportions_2indep

    alpha, left = _alpha_each(request), 1 - request.correlation**2
    sd = request.sd

    def of_rates(effect: float, control: float, arm: float) -> float:
        units, ratio = arm / left, control / arm
        return float(power_proportions_2indep(effect, request.baseline, units, ratio, alpha, return_results=False))

    def of_means(effect: float, control: float, arm: float) -> float:
        assert sd is not None
        size, ratio = abs(effect) / (sd * math.sqrt(left)), arm / control
        power = TTestIndPower().power(size, control, alpha, ratio=ratio) if control < _LARGE else math.nan
        if math.isnan(power):  # as scipy's noncentral t is where it is far from 0, or has many degrees of freedom
            power = NormalIndPower().power(size, control, alpha, ratio=ratio)
        return float(power)

    return of_rates if sd is None else of_means


def _root(over: Callable[[float], float], low: float, high: float) -> float | None:
    """Where `over` becomes positive between two numbers, which it does once; `low` where it is so already."""
    from scipy import optimize

    if over(low) >= 0:
        return low
    if over(high) < 0:
        return None
    return math.exp(optimize.brentq(lambda x: over(math.exp(x)), math.log(low), math.log(high), xtol=1e-12))


def _least_effect(request: ExperimentPlanRequest, over: Callable[[float], float], arms: Sequence[int]) -> float:
    sd = request.sd
    if sd is None:
        top = (1 - request.baseline) * (1 - 1e-9)
        found = _root(over, min(1e-9, top / 2), top)
    else:
        error = sd * math.sqrt(1 / arms[0] + 1 / min(arms[1:]))
        found = _root(over, error * 1e-6, error * 30)
    if found is None:
        raise UsageError(
            f"`units` are too few: with {sum(arms)} no effect is found with that power; {_UNITS} of more", field="units"
        )
    return found


def _shared_out(units: int, weights: Sequence[float]) -> tuple[int, ...]:
    arms = tuple(math.floor(units * weight / sum(weights) + 1e-9) for weight in weights)
    if min(arms) < 2:
        raise UsageError(f"`units` are too few: {units} leave an arm with {min(arms)}; {_UNITS} of more", field="units")
    return arms


def _sentence(
    request: ExperimentPlanRequest, effect: float, arms: Sequence[int], days: int | None, power: float
) -> str:
    kind = "rate" if request.sd is None else "mean"
    relative = f" ({100 * effect / request.baseline:+.3g} %)" if request.baseline else ""
    time = "" if days is None else f" in {days} day{'s' if days > 1 else ''}"
    weeks = -(-days // 7) if days else 0
    whole = (
        f"; run it for {weeks} whole week{'s' if weeks > 1 else ''}, so that all weekdays count alike"
        if days and days % 7
        else ""
    )
    return (
        f"With {sum(arms):,} units{time} ({' / '.join(f'{arm:,}' for arm in arms)}, the control first), a true change "
        f"of {amount_of(effect, kind)}{relative} from {value_of(request.baseline, kind)} is found with a probability "
        f"of {percent(power)}{whole}."
    )
