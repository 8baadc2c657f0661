"""Means and variances: merged as taken at once, the delta method and CUPED as other libraries have them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgekit.experiment.moments import Moments, cuped, level

_VALUES = arrays.arrays(np.float64, st.tuples(st.integers(2, 30), st.just(2)), elements=st.floats(-1e6, 1e6))


@given(_VALUES, st.integers(1, 29))
def test_parts_make_the_whole(values: np.ndarray, at: int) -> None:
    at = min(at, len(values) - 1)
    both = Moments.of(values[:at]) + Moments.of(values[at:])
    assert both.n == len(values)
    np.testing.assert_allclose(both.mean, values.mean(axis=0), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(both.covariance, np.cov(values.T), rtol=1e-6, atol=1e-3)


def test_small_differences_of_large_values_are_kept() -> None:
    values = 1e9 + np.asarray([[0.0], [1.0], [2.0], [3.0]])
    both = Moments.of(values[:2]) + Moments.of(values[2:])
    assert level(both, 0).variance == pytest.approx(5 / 3)


def test_the_delta_method_is_the_cluster_robust_error_of_a_regression() -> None:
    """Deng, Knoblich and Lu (2018) say that both are the same; statsmodels has the other one."""
    from statsmodels.regression.linear_model import OLS

    rng = np.random.default_rng(3)
    user = np.repeat(np.arange(200), rng.integers(1, 9, 200))
    value = rng.normal(size=200)[user] + rng.normal(size=len(user))
    groups = {"groups": user, "use_correction": False}
    robust = OLS(value, np.ones(len(user))).fit(cov_type="cluster", cov_kwds=groups)
    totals = np.stack([np.bincount(user, value), np.bincount(user).astype(float)], axis=1)
    mine = level(Moments.of(totals), 0, 1)
    assert mine.value == pytest.approx(value.mean())
    assert np.sqrt(mine.squared_error * 199 / 200) == pytest.approx(robust.bse[0])


def test_cuped_is_the_regression_on_the_centred_covariate() -> None:
    """Deng, Xu, Kohavi and Walker (2013): one slope for all arms, and 1 - correlation**2 of the variance is left."""
    from statsmodels.regression.linear_model import OLS

    rng = np.random.default_rng(4)
    arm = np.repeat([0, 1], [300, 500])
    before = rng.gamma(2.0, 1.0, 800)
    own = 3 * before + rng.normal(size=800) + 0.5 * arm
    both = np.stack([own, before], axis=1)
    levels, correlation = cuped([Moments.of(both[arm == number]) for number in (0, 1)], 0, 1)
    fitted = OLS(own, np.stack([np.ones(800), arm, before], axis=1)).fit()
    # A regression weighs each arm by n - 1, the pooled slope by n.
    assert levels[1].value - levels[0].value == pytest.approx(fitted.params[1], abs=1e-3)
    plain = level(Moments.of(both[arm == 1]), 0)
    assert levels[1].variance / plain.variance == pytest.approx(1 - correlation**2, rel=0.1)


def test_a_covariate_without_spread_changes_nothing() -> None:
    values = np.stack([np.arange(10.0), np.full(10, 7.0)], axis=1)
    levels, correlation = cuped([Moments.of(values), Moments.of(values + np.asarray([1, 0]))], 0, 1)
    assert correlation == 0
    assert levels[0] == level(Moments.of(values), 0)


def test_many_samples_at_once_are_what_each_is_alone() -> None:
    values = np.random.default_rng(5).gamma(2.0, 1.0, (3, 50, 2))
    together = level(Moments.of(values), 0, 1)
    for run in range(3):
        alone = level(Moments.of(values[run]), 0, 1)
        assert together.value[run] == pytest.approx(alone.value)
        assert together.variance[run] == pytest.approx(alone.variance)
