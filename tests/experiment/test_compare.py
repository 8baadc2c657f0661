"""The tests of two arms, against published examples and other libraries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgekit.experiment.compare import compare_rates, normal_test, sequential_test, welch_test
from edgekit.experiment.moments import Level, Moments, level

# Student's sleep data (1908), hours of sleep gained by two drugs, as R's help for t.test has them.
SLEEP = (
    [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
)


def rate(successes: float, n: float) -> Level:
    share = np.asarray(successes / n)
    return Level(n, share, share * (1 - share) * n / (n - 1))


def sample(values: list[float]) -> Level:
    return level(Moments.of(np.asarray(values)[:, None]), 0)


def test_two_proportions_as_in_the_documentation_of_statsmodels() -> None:
    """`proportions_ztest([5, 12], [83, 99])`: p = 0.159."""
    assert compare_rates(rate(12, 99), rate(5, 83), 0.05).p == pytest.approx(0.159, abs=5e-4)


def test_the_interval_of_two_proportions_as_newcombe_published_it() -> None:
    """Newcombe (1998), table II (a), method 10: 56/70 - 48/80 lies between 0.0524 and 0.3339."""
    found = compare_rates(rate(48, 80), rate(56, 70), 0.05)
    assert found.effect == pytest.approx(0.2)
    assert [float(side) for side in found.interval] == pytest.approx([0.0524, 0.3339], abs=5e-5)
    assert found.relative == pytest.approx(1 / 3)
    assert found.relative_interval[0] < 1 / 3 < found.relative_interval[1]


def test_welch_as_in_r() -> None:
    """t = -1.8608, df = 17.776, p = 0.07939, interval -3.3654832 to 0.2054832."""
    found = welch_test(sample(SLEEP[1]), sample(SLEEP[0]), 0.05)
    assert found.p == pytest.approx(0.07939, abs=5e-6)
    assert [float(side) for side in found.interval] == pytest.approx([-3.3654832, 0.2054832], abs=5e-7)


def test_welch_from_statistics_as_in_the_documentation_of_scipy() -> None:
    """`ttest_ind_from_stats`: 13 values of mean 15 and variance 87.5, 11 of mean 12 and variance 39."""
    found = welch_test(
        Level(11, np.asarray(12.0), np.asarray(39.0)), Level(13, np.asarray(15.0), np.asarray(87.5)), 0.05
    )
    expected = stats.ttest_ind_from_stats(15, 87.5**0.5, 13, 12, 39**0.5, 11, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue)


@given(st.floats(0.5, 100), st.floats(0.1, 100), st.floats(0.01, 4), st.floats(0.01, 4))
def test_the_relative_interval_leaves_out_0_where_the_absolute_one_does(
    ours: float, theirs: float, our_variance: float, their_variance: float
) -> None:
    control = Level(100, np.asarray(ours), np.asarray(our_variance * 100))
    arm = Level(100, np.asarray(theirs), np.asarray(their_variance * 100))
    found = normal_test(control, arm, 0.05)
    (low, high), (lower, higher) = found.interval, found.relative_interval
    if np.isfinite(lower) and abs(found.p - 0.05) > 1e-6:
        assert (low <= 0 <= high) == (lower <= 0 <= higher) == (found.p > 0.05)


def test_no_relative_effect_where_the_control_may_be_0() -> None:
    found = normal_test(
        Level(100, np.asarray(0.1), np.asarray(4.0)), Level(100, np.asarray(1.0), np.asarray(4.0)), 0.05
    )
    assert np.isnan(found.relative)
    assert compare_rates(rate(0, 50), rate(5, 50), 0.05).relative_interval[0] != 0
    assert np.isnan(compare_rates(rate(0, 50), rate(5, 50), 0.05).relative)


@pytest.mark.parametrize("n", [10**6, 10**7, 10**9])
def test_billions_of_units_do_not_overflow(n: int) -> None:
    gain = 4 * (0.1 * 0.9 * 2 / n) ** 0.5
    found = compare_rates(rate(0.1 * n, n), rate((0.1 + gain) * n, n), 0.05)
    assert found.p == pytest.approx(6.3e-5, rel=0.1)
    assert 0 < found.interval[0] < gain < found.interval[1]
    assert 0 < found.relative_interval[0] < gain / 0.1 < found.relative_interval[1]


def test_what_may_be_looked_at_daily_is_wider() -> None:
    arms = (Level(1000, np.asarray(10.0), np.asarray(4.0)), Level(1000, np.asarray(10.2), np.asarray(4.0)))
    once, often = normal_test(*arms, 0.05), sequential_test(*arms, 0.05, 2000)
    assert often.p > once.p
    assert often.interval[0] < once.interval[0]
    assert sequential_test(arms[0], Level(1000, np.asarray(10.5), np.asarray(4.0)), 0.05, 2000).p < 0.001


def test_many_experiments_at_once_are_what_each_is_alone() -> None:
    counts = np.asarray([10.0, 20.0, 30.0])
    share = counts / 100
    together = compare_rates(rate(15, 100), Level(100, share, share * (1 - share)), 0.05)
    for number, count in enumerate(counts):
        alone = compare_rates(rate(15, 100), rate(count, 100), 0.05)
        assert together.p[number] == pytest.approx(alone.p)
        assert together.relative_interval[1][number] == pytest.approx(alone.relative_interval[1])
