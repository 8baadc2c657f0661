"""An arm against the control: the effect, its interval and its p-value, by the test that fits the metric.

All arguments may be arrays of many experiments at once, as the simulations have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgekit.experiment.bounds import mixture
from edgekit.experiment.moments import Level

__all__ = ["Difference", "Interval", "compare_rates", "normal_test", "sequential_test", "welch_test"]

Interval = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Difference:
    """What the arm has more than the control, absolutely and as a share of the control's value; NaN where that share
    cannot be bounded.
    """

    effect: np.ndarray
    interval: Interval
    p: np.ndarray
    relative: np.ndarray
    relative_interval: Interval


def compare_rates(control: Level, arm: Level, alpha: float) -> Difference:
    """Two proportions: the score test (the pooled z-test), Newcombe's interval of their difference (1998, method 10)
    and the score interval of their ratio (Koopman, 1984), all of statsmodels.
    """
    from statsmodels.stats import proportion

    # Float counts: with whole numbers of 64 bits, statsmodels overflows near 1e9.
    ours, theirs = (np.asarray(one.value, float) * one.n for one in (arm, control))
    counts = (ours, np.asarray(arm.n, float), theirs, np.asarray(control.n, float))
    with np.errstate(all="ignore"):
        tested = proportion.test_proportions_2indep(*counts, compare="diff", method="score", correction=False)
        low, high = proportion.confint_proportions_2indep(*counts, compare="diff", method="newcomb", alpha=alpha)
    return Difference(
        np.asarray(arm.value - control.value),
        (np.asarray(low), np.asarray(high)),
        np.asarray(tested.pvalue),
        *_ratio_of_rates(counts, alpha),
    )


def welch_test(control: Level, arm: Level, alpha: float) -> Difference:
    """Two means, or two ratios by the delta method: Welch's t-test and its interval."""
    from scipy import stats

    ours, theirs = arm.squared_error, control.squared_error
    with np.errstate(all="ignore"):
        freedom = (ours + theirs) ** 2 / (
            ours**2 / np.maximum(np.asarray(arm.n) - 1, 1) + theirs**2 / np.maximum(np.asarray(control.n) - 1, 1)
        )
    critical = np.asarray(stats.t.isf(alpha / 2, freedom))
    return _around(control, arm, critical, lambda z: np.asarray(2 * stats.t.sf(np.abs(z), freedom)))


def normal_test(control: Level, arm: Level, alpha: float) -> Difference:
    """As `welch_test`, with the normal distribution in place of Student's."""
    from scipy import stats

    critical = np.asarray(stats.norm.isf(alpha / 2))
    return _around(control, arm, critical, lambda z: np.asarray(2 * stats.norm.sf(np.abs(z))))


def sequential_test(control: Level, arm: Level, alpha: float, planned: int) -> Difference:
    """A p-value and an interval that hold however often they are looked at: `edgekit.experiment.bounds.mixture`."""
    bound = mixture(np.asarray(control.n + arm.n), planned, alpha)
    return _around(control, arm, bound.critical(alpha), bound.p)


def _around(control: Level, arm: Level, critical: np.ndarray, p_of: Callable[[np.ndarray], np.ndarray]) -> Difference:
    error = np.sqrt(control.squared_error + arm.squared_error)
    effect = np.asarray(arm.value - control.value)
    with np.errstate(all="ignore"):
        p = p_of(effect / error)
    return Difference(
        effect, (effect - critical * error, effect + critical * error), p, *_fieller(control, arm, critical)
    )


def _fieller(control: Level, arm: Level, critical: np.ndarray) -> tuple[np.ndarray, Interval]:
    """The relative effect with Fieller's interval (1954): the ratios that the same test does not refuse, so that it
    leaves out 0 exactly where the absolute interval does. NaN where the control's value may be 0, or is below it.
    """
    square = critical**2
    base = control.value**2 - square * control.squared_error
    with np.errstate(all="ignore"):
        usable = (base > 0) & (control.value > 0)
        middle = arm.value * control.value / base
        root = np.sqrt(middle**2 - (arm.value**2 - square * arm.squared_error) / base)
        relative, low, high = (
            np.where(usable, share - 1, np.nan) for share in (arm.value / control.value, middle - root, middle + root)
        )
    return relative, (low, high)


def _ratio_of_rates(counts: tuple[np.ndarray, ...], alpha: float) -> tuple[np.ndarray, Interval]:
    """NaN where the control has no success; where all succeed in both arms nobody asks."""
    from statsmodels.stats import proportion

    flat = [np.ravel(values) for values in np.broadcast_arrays(*counts)]
    bounds = []
    with np.errstate(all="ignore"):
        for row in zip(*flat, strict=True):
            usable = row[2] > 0 and not (row[0] == row[1] and row[2] == row[3])
            pair = (
                proportion.confint_proportions_2indep(
                    *row, compare="ratio", method="score", correction=False, alpha=alpha
                )
                if usable
                else (np.nan, np.nan)
            )
            bounds.append([np.real(side) - 1 for side in pair])
        relative = np.where(
            counts[2] > 0, counts[0] / counts[1] * counts[3] / np.where(counts[2] > 0, counts[2], 1) - 1, np.nan
        )
    low, high = np.reshape(np.asarray(bounds, float).T, (2, *np.shape(relative)))
    return relative, (np.maximum(low, -1.0), high)
