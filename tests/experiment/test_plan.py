"""Plans, against published examples, each other, and simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import UsageError
from edgekit.experiment.compare import compare_rates
from edgekit.experiment.moments import Level
from edgekit.experiment.plan import ExperimentPlan, ExperimentPlanRequest, plan_experiment


def plan(**asked: Any) -> ExperimentPlan:
    return plan_experiment(ExperimentPlanRequest(**asked))


def test_rates_as_in_r() -> None:
    """R's help: `power.prop.test(p1 = .50, p2 = .75, power = .90)` gives n = 76.7 in each group."""
    found = plan(baseline=0.5, effect=0.25, power=0.9)
    assert (found.arms, found.units, found.solved) == ((77, 77), 154, "units")
    assert found.power == pytest.approx(0.9, abs=0.002)


def test_means_as_in_r() -> None:
    """R's help: `power.t.test(n = 20, delta = 1, sd = 1)` has power 0.8689528, and for 0.90 n = 22.02110."""
    assert plan(baseline=5, sd=1, effect=1, units=40).power == pytest.approx(0.8689528, abs=1e-6)
    assert plan(baseline=5, sd=1, effect=1, power=0.9).arms == (23, 23)


def test_the_rule_of_thumb_of_sixteen_variances() -> None:
    """van Belle (2002): n = 16 / (delta / sd)**2 in each group for a power of 0.8."""
    assert plan(baseline=0, sd=10, effect=0.5).arms[0] == pytest.approx(16 * 20**2, rel=0.03)


@given(st.floats(0.01, 0.6), st.floats(0.02, 0.5), st.floats(0.3, 0.99), st.sampled_from(["1/1", "9/1", "2/1/1"]))
def test_each_of_effect_units_and_power_follows_from_the_others(
    baseline: float, relative: float, power: float, split: str
) -> None:
    units = plan(baseline=baseline, relative=relative, power=power, split=split)
    assert units.power >= power - 1e-9
    effect = plan(baseline=baseline, units=units.units, power=power, split=units.arms)
    assert 0 < effect.effect <= relative * baseline * (1 + 1e-6)
    again = plan(baseline=baseline, effect=effect.effect, units=units.units, split=units.arms)
    assert again.power == pytest.approx(power, abs=1e-6)
    assert plan(baseline=baseline, relative=relative, units=units.units, split=units.arms).power == pytest.approx(
        units.power
    )


def test_cuped_needs_a_share_of_the_units() -> None:
    """1 - correlation**2 of them (Deng et al., 2013)."""
    for metric in ({"baseline": 0.1}, {"baseline": 10, "sd": 30}):
        plain, less = (plan(**metric, relative=0.02, correlation=correlation).units for correlation in (0.0, 0.8))
        assert less / plain == pytest.approx(0.36, abs=1e-3)


def test_traffic_gives_days_and_days_units() -> None:
    found = plan(baseline=0.1, relative=0.05, daily=20_000, share=0.5)
    assert found.days == math.ceil(found.units / 10_000)
    assert "2 whole weeks" in found.sentence
    by_days = plan(baseline=0.1, days=14, daily=20_000, share=0.5)
    assert (by_days.units, by_days.days, by_days.solved) == (140_000, 14, "effect")
    assert "week" not in by_days.sentence


def test_several_arms_share_alpha_and_an_uneven_split_costs_units() -> None:
    two, three = plan(baseline=0.1, effect=0.01), plan(baseline=0.1, effect=0.01, split="1/1/1")
    assert (three.alpha_each, two.alpha_each) == (0.025, 0.05)
    assert three.arms[0] > two.arms[0]
    uneven = plan(baseline=0.1, effect=0.01, split="9/1")
    assert uneven.arms[0] == pytest.approx(9 * uneven.arms[1], rel=1e-3)
    assert uneven.units > two.units


def test_the_power_is_what_a_simulation_finds() -> None:
    """Of 4000 experiments as planned, 80 % find the effect: within 0.025, four standard errors."""
    found = plan(baseline=0.2, effect=0.04, power=0.8, split="2/1")
    rng = np.random.default_rng(0)
    control, arm = (
        Level(n, np.asarray(rng.binomial(n, rate, 4000) / n), np.asarray(0.2))
        for n, rate in zip(found.arms, (0.2, 0.24), strict=True)
    )
    assert float(np.mean(compare_rates(control, arm, 0.05).p <= 0.05)) == pytest.approx(0.8, abs=0.025)


def test_billions_of_units_are_planned_for() -> None:
    assert plan(baseline=0.1, relative=1e-4).units > 10**9
    assert plan(baseline=10, sd=1, units=10**9).effect == pytest.approx(2.8 * math.sqrt(4e-9), rel=0.01)


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({}, "effect", "nothing says how large"),
        ({"baseline": 0}, "baseline", "`baseline` is 0; a rate lies between 0 and 1"),
        ({"baseline": 1.0, "units": 100}, "baseline", "a rate lies between 0 and 1"),
        ({"baseline": 23.5, "units": 100}, "baseline", "of a mean give the `sd` as well"),
        ({"baseline": float("nan"), "units": 100}, "baseline", "nan"),
        ({"sd": -1.0, "units": 100}, "sd", "-1"),
        ({"effect": 0.95}, "effect", "between 0 and 1"),
        ({"effect": 0.0}, "effect", "worth finding"),
        ({"effect": 0.01, "relative": 0.1}, "relative", "the same"),
        ({"units": 100, "days": 3, "daily": 5.0}, "days", "the same"),
        ({"days": 3}, "daily", "needs `daily`"),
        ({"effect": 0.1, "units": 100, "power": 0.8}, "power", "leave out `power`"),
        ({"units": 3}, "units", "4"),
        ({"units": 100, "split": "999/1"}, "units", "leave an arm with 0"),
        ({"units": 4}, "units", "too few"),
        ({"effect": 0.01, "split": "1"}, "split", "80/10/10"),
        ({"effect": 0.01, "split": "1/x"}, "split", "80/10/10"),
        ({"effect": 0.01, "split": (1, -1)}, "split", "80/10/10"),
        ({"effect": 1e-9}, "effect", "over 1e+12 units"),
        ({"effect": 0.01, "power": 0.05}, "power", "0.05"),
        ({"effect": 0.01, "correlation": 1.0}, "correlation", "1"),
        ({"effect": 0.01, "share": 0}, "share", "0"),
        ({"effect": 0.01, "alpha": 0.9}, "alpha", "0.9"),
        ({"baseline": 0.0, "sd": 1.0, "relative": 0.1}, "relative", "no meaning"),
    ],
)
def test_what_cannot_be_planned_is_refused(asked: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("+", r"\+")) as caught:
        plan(**{"baseline": 0.1, **asked})
    assert caught.value.field == field
