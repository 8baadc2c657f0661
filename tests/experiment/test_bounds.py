"""Bounds for every look: narrowest where they are tuned, true to what they invert, and holding under many looks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from edgekit.experiment.bounds import Mixture, mixture, quantile_bounds, rate_bounds


def test_the_interval_is_what_the_p_value_does_not_refuse() -> None:
    bound = Mixture(np.asarray([0.1, 1.0, 50.0]))
    for alpha in (0.05, 0.001):
        np.testing.assert_allclose(bound.p(bound.critical(alpha)), alpha)
        assert (bound.p(bound.critical(alpha) * 1.01) < alpha).all()
    assert (bound.p(np.zeros(3)) == 1).all()


def test_the_p_value_is_one_over_the_mixed_likelihood_ratio() -> None:
    """Johari et al. (2022), equation for the normal mean with a normal mixing distribution of variance tau**2."""
    z, n, variance, tau = 3.1, 400.0, 2.0, 0.3
    ratio = np.sqrt(variance / (variance + n * tau**2)) * np.exp(
        n**2 * tau**2 * (z * np.sqrt(variance / n)) ** 2 / (2 * variance * (variance + n * tau**2))
    )
    assert Mixture(np.asarray(n * tau**2 / variance)).p(np.asarray(z)) == pytest.approx(1 / ratio)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_the_interval_is_narrowest_where_it_is_planned(alpha: float) -> None:
    planned = 5000
    widths = {
        tuned: float(mixture(np.asarray(planned), tuned, alpha).critical(alpha)) for tuned in range(500, 50_000, 100)
    }
    assert min(widths, key=lambda tuned: widths[tuned]) == pytest.approx(planned, rel=0.05)


@pytest.mark.parametrize(("successes", "n"), [(0, 50), (1, 50), (25, 50), (50, 50), (7, 10**4), (10**6, 10**9)])
def test_a_rate_lies_within_its_bounds_and_they_close(successes: int, n: int) -> None:
    low, high = rate_bounds(successes, n, 0.05)
    assert 0 <= low <= successes / n <= high <= 1
    assert low == 0 or successes > 0
    assert high < 1 or successes == n
    wider = rate_bounds(successes, n, 0.001)
    assert wider[0] <= low <= high <= wider[1]


def test_nothing_is_known_of_no_request() -> None:
    assert rate_bounds(0, 0, 0.05) == (0.0, 1.0)


def test_the_evidence_is_a_fair_bet() -> None:
    """The bound of a rate rests on this: were the rate true, the mixed likelihood ratio would be 1 on average."""
    from edgekit.experiment.bounds import _evidence

    n, true = 60, 0.3
    chances = [special.comb(n, k) * true**k * (1 - true) ** (n - k) for k in range(n + 1)]
    assert sum(c * np.exp(_evidence(k, n, true)) for k, c in enumerate(chances)) == pytest.approx(1)


def test_a_quantile_lies_within_its_bounds() -> None:
    values = np.sort(np.random.default_rng(0).exponential(size=20_000))
    low, high = quantile_bounds(values, 0.95, 0.05)
    assert low < -np.log(0.05) < high
    assert high - low < 0.5
    assert quantile_bounds(values[:10], 0.95, 0.05)[1] == np.inf
    assert quantile_bounds(np.full(1000, 3.0), 0.5, 0.05) == (3.0, 3.0)


def test_bounds_hold_at_all_looks_together() -> None:
    """Exact bounds are wrong at any of 25 looks in at most 5 % of the runs: 150 runs allow 14 (binomial, 1 in 100)."""
    rng = np.random.default_rng(1)
    wrong = {"rate": 0, "quantile": 0}
    for _ in range(150):
        seen = rng.random(1000) < 0.1
        values = rng.integers(0, 10, 1000).astype(float)  # ties: 8 is the quantile 0.9
        looks = range(40, 1001, 40)
        rates = (rate_bounds(int(seen[:n].sum()), n, 0.05) for n in looks)
        wrong["rate"] += any(not low <= 0.1 <= high for low, high in rates)
        quantiles = (quantile_bounds(np.sort(values[:n]), 0.9, 0.05) for n in looks)
        wrong["quantile"] += any(not low <= 8 <= high for low, high in quantiles)
    assert max(wrong.values()) <= 14
