from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.metrics.statistics import drift_of, ratio_of, summary_of

SAMPLES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=300)


def noisy(rng: np.random.Generator, median: float, count: int) -> np.ndarray:
    """Latencies as a busy machine gives them: a long tail, and stretches that are slow together."""
    slow = np.repeat(rng.random(-(-count // 20)) < 0.2, 20)[:count]
    return median * (1 + 0.02 * rng.exponential(size=count) + 0.3 * slow)


@settings(deadline=None)
@given(SAMPLES)
def test_a_summary_is_in_order_and_inside_the_samples(samples: list[float]) -> None:
    summary = summary_of(samples)
    levels = [summary[name] for name in ("min", "p50", "p90", "p95", "p99", "max")]
    assert levels == sorted(levels)
    assert summary["min"] == pytest.approx(min(samples), abs=1e-5)
    assert summary["max"] == pytest.approx(max(samples), abs=1e-5)


def test_no_samples_say_nothing() -> None:
    with pytest.raises(ValueError, match="no samples"):
        summary_of([])
    assert drift_of(None, 10.0) is drift_of(10.0, None) is drift_of(0.0, 10.0) is None


def test_outliers_and_drift() -> None:
    def drift(samples: Sequence[float]) -> float:
        summary = summary_of(samples)
        share = drift_of(summary["first_decile_p50"], summary["last_decile_p50"])
        assert share is not None
        return share

    steady = [10.0, 10.1, 9.9, 10.05] * 50
    assert summary_of([*steady, 40.0, 50.0])["outliers"] == 2
    assert drift([10 + 0.02 * number for number in range(200)]) > 0.3
    assert abs(drift(steady)) < 0.02


def test_a_real_difference_is_shown_and_none_is_not() -> None:
    rng = np.random.default_rng(0)
    same = [ratio_of(noisy(rng, 10, 2000), noisy(rng, 10, 2000), seed=seed) for seed in range(40)]
    assert sum(one.shows_difference for one in same) <= 6  # 2 of 40 are due
    other = ratio_of(noisy(rng, 11, 2000), noisy(rng, 10, 2000))
    assert other.shows_difference
    assert other.low - 0.02 <= 1.1 <= other.high + 0.02


@pytest.mark.parametrize("count", [20, 30, 50, 100])
def test_few_samples_show_differences_seldom_where_there_are_none(count: int) -> None:
    rng = np.random.default_rng(0)
    draws = [10 * (1 + 0.02 * rng.exponential(size=(2, count))) for _ in range(100)]
    assert sum(ratio_of(*pair).shows_difference for pair in draws) <= 12
    assert sum(ratio_of(*pair, paired=True).shows_difference for pair in draws) <= 13


def test_a_long_series_keeps_both_directions_of_turns_and_all_photos() -> None:
    """Not all of 30,000 samples are drawn from; those that are must not be every other one, or of every other photo."""
    rng = np.random.default_rng(0)
    turns = np.tile([10.0, 10.5], 15_000) + rng.random(30_000)
    photos = np.tile(10 + 0.1 * np.arange(8), 3_750) + rng.random(30_000)
    for series in (turns, photos):
        found = ratio_of(series, series[:15_000])
        assert found.value == pytest.approx(1.0, abs=0.004)
        assert not found.shows_difference


def test_turns_find_what_a_busy_machine_hides() -> None:
    """Where half the run is slow for both, one after the other shows nothing, and turns show 2 %."""
    rng = np.random.default_rng(0)
    load = np.repeat(1 + rng.exponential(0.5, 20), 50)
    new, base = (median * load * (1 + 0.01 * rng.random(1000)) for median in (10.2, 10.0))
    assert not ratio_of(new, base).shows_difference
    paired = ratio_of(new, base, paired=True)
    assert paired.shows_difference
    assert paired.high - paired.low < 0.02


def test_a_ratio_repeats_where_runs_are_slow_half_of_the_time() -> None:
    """Two medians may come from different halves of such a run; the rounds' own quotients do not mind."""
    rng = np.random.default_rng(0)

    def spread(paired: bool) -> float:
        found = []
        for _ in range(10):
            load = np.repeat(1 + 0.3 * (rng.random(50) < 0.5), 10)
            over, under = (median * load * (1 + 0.02 * rng.random(500)) for median in (8.0, 10.0))
            changed = rng.random(500) < 0.05  # the load came or went between the two
            over[changed] *= 1.3
            found.append(ratio_of(over, under, paired=paired).value)
        assert np.median(found) == pytest.approx(0.8, rel=0.05)
        return (max(found) - min(found)) / float(np.median(found))

    assert spread(paired=True) < 0.01
    assert spread(paired=False) > 0.05


@settings(deadline=None, max_examples=30)
@given(SAMPLES, SAMPLES)
def test_an_interval_holds_its_ratio_and_repeats(new: list[float], base: list[float]) -> None:
    one = ratio_of(new, base)
    assert one.low <= one.value <= one.high
    assert one == ratio_of(new, base)


def test_nothing_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="no samples"):
        ratio_of([], [1.0])
    with pytest.raises(ValueError, match="no samples"):
        ratio_of([1.0, 2.0], [1.0], paired=True)
