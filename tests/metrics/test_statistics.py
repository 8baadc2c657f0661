from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.bench.schema import Latency
from edgekit.metrics.statistics import drift, ratio_of, summarize

SAMPLES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=300)


def noisy(rng, median, count):
    """Latencies as a busy machine gives them: a long tail, and stretches that are slow together."""
    slow = np.repeat(rng.random(-(-count // 20)) < 0.2, 20)[:count]
    return median * (1 + 0.02 * rng.exponential(size=count) + 0.3 * slow)


@settings(deadline=None)
@given(SAMPLES)
def test_a_summary_is_in_order_and_inside_the_samples(samples):
    found = summarize(Latency(samples=tuple(samples)))
    levels = [found.min, found.p50, found.p90, found.p95, found.p99, found.max]
    assert levels == sorted(levels)
    assert found.min == pytest.approx(min(samples), abs=1e-5)
    assert found.max == pytest.approx(max(samples), abs=1e-5)
    assert found.samples == tuple(samples)


def test_no_samples_say_nothing():
    found = summarize(Latency(samples=()))
    assert found.p50 is None
    assert drift(found) is None


def test_outliers_and_drift():
    steady = [10.0, 10.1, 9.9, 10.05] * 50
    assert summarize(Latency(samples=(*steady, 40.0, 50.0))).outliers == 2
    slowing = summarize(Latency(samples=tuple(10 + 0.02 * number for number in range(200))))
    assert drift(slowing) > 0.3
    assert abs(drift(summarize(Latency(samples=tuple(steady))))) < 0.02


def test_a_real_difference_is_shown_and_none_is_not():
    rng = np.random.default_rng(0)
    same = [ratio_of(noisy(rng, 10, 2000), noisy(rng, 10, 2000), seed=seed) for seed in range(40)]
    assert sum(one.shows_difference for one in same) <= 6  # 2 of 40 are due
    other = ratio_of(noisy(rng, 11, 2000), noisy(rng, 10, 2000))
    assert other.shows_difference
    assert other.low - 0.02 <= 1.1 <= other.high + 0.02


@pytest.mark.parametrize("count", [20, 30, 50, 100])
def test_few_samples_show_differences_seldom_where_there_are_none(count):
    rng = np.random.default_rng(0)
    draws = [10 * (1 + 0.02 * rng.exponential(size=(2, count))) for _ in range(100)]
    assert sum(ratio_of(*pair).shows_difference for pair in draws) <= 12
    assert sum(ratio_of(*pair, paired=True).shows_difference for pair in draws) <= 13


def test_a_long_series_keeps_both_directions_of_turns_and_all_photos():
    """Not all of 30,000 samples are drawn from; those that are must not be every other one, or of every other photo."""
    rng = np.random.default_rng(0)
    turns = np.tile([10.0, 10.5], 15_000) + rng.random(30_000)
    photos = np.tile(10 + 0.1 * np.arange(8), 3_750) + rng.random(30_000)
    for series in (turns, photos):
        found = ratio_of(series, series[:15_000])
        assert found.value == pytest.approx(1.0, abs=0.004)
        assert not found.shows_difference


def test_turns_find_what_a_busy_machine_hides():
    """Where half the run is slow for both, one after the other shows nothing, and turns show 2 %."""
    rng = np.random.default_rng(0)
    load = np.repeat(1 + rng.exponential(0.5, 20), 50)
    new, base = (median * load * (1 + 0.01 * rng.random(1000)) for median in (10.2, 10.0))
    assert not ratio_of(new, base).shows_difference
    paired = ratio_of(new, base, paired=True)
    assert paired.shows_difference
    assert paired.high - paired.low < 0.02


def test_a_ratio_repeats_where_runs_are_slow_half_of_the_time():
    """Two medians may come from different halves of such a run; the rounds' own quotients do not mind."""
    rng = np.random.default_rng(0)

    def spread(paired):
        found = []
        for _ in range(10):
            load = np.repeat(1 + 0.3 * (rng.random(50) < 0.5), 10)
            over, under = (median * load * (1 + 0.02 * rng.random(500)) for median in (8.0, 10.0))
            changed = rng.random(500) < 0.05  # the load came or went between the two
            over[changed] *= 1.3
            found.append(ratio_of(over, under, paired=paired).value)
        assert np.median(found) == pytest.approx(0.8, rel=0.05)
        return (max(found) - min(found)) / np.median(found)

    assert spread(paired=True) < 0.01
    assert spread(paired=False) > 0.05


@settings(deadline=None, max_examples=30)
@given(SAMPLES, SAMPLES)
def test_an_interval_holds_its_ratio_and_repeats(new, base):
    one = ratio_of(new, base)
    assert one.low <= one.value <= one.high
    assert one == ratio_of(new, base)


def test_nothing_cannot_be_compared():
    with pytest.raises(ValueError, match="no samples"):
        ratio_of([], [1.0])
    with pytest.raises(ValueError, match="no samples"):
        ratio_of([1.0, 2.0], [1.0], paired=True)
