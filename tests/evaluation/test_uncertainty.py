"""Intervals and tests beside scipy's own, and by simulation: they are right as often as they say."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from edgekit.evaluation.uncertainty import coded, corrected, gaps, interval, paired_p, units_of


def test_an_interval_as_scipy_draws_it() -> None:
    values = np.random.default_rng(0).exponential(size=(200, 2))
    low, high = interval(values, np.arange(200), 4000)
    wanted = stats.bootstrap((values,), np.mean, axis=0, n_resamples=4000, method="percentile").confidence_interval
    assert low == pytest.approx(wanted.low, abs=0.02)
    assert high == pytest.approx(wanted.high, abs=0.02)


@pytest.mark.parametrize("photos", [1, 4])
def test_an_interval_holds_the_mean_as_often_as_it_says(photos: int) -> None:
    """Photos of one listing are all found or all missed: as rows they would be four times as many as they are."""
    rng, units = np.random.default_rng(0), np.repeat(np.arange(60), photos)
    held = 0
    for seed in range(300):
        found = np.repeat(rng.random(60) < 0.3, photos)[:, None].astype(float)
        low, high = interval(found, units, 300, seed)
        held += int(low[0] <= 0.3 <= high[0])
    assert 0.90 <= held / 300 <= 0.98


def test_an_interval_of_one_unit_is_its_figure() -> None:
    assert [end.tolist() for end in interval(np.array([[0.5], [1.0]]), np.zeros(2), 100)] == [[0.75], [0.75]]


def test_one_endless_text_does_not_take_its_length_for_every_row() -> None:
    labels = [*map(str, range(1000)), "x" * 100_000]
    tracemalloc.start()
    try:
        assert units_of(labels, 1001)[-1] == 1000
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@given(st.lists(st.text(max_size=3)))
def test_texts_are_numbered_in_their_order(texts: list[str]) -> None:
    names, numbers = coded(texts)
    assert names == sorted(set(texts))
    assert [names[number] for number in numbers] == texts


def test_what_a_unit_is() -> None:
    assert units_of(["b", "a", "b"], 3).tolist() == [1, 0, 1]
    assert units_of(None, 3).tolist() == [0, 1, 2]
    assert len(set(units_of(["", "a", "", "a"], 4).tolist())) == 3
    assert units_of(["class"] * 9, 9).tolist() == list(range(9))


def test_paired_differences_as_scipy_tests_them() -> None:
    rng = np.random.default_rng(1)
    differences = np.stack([rng.normal(0.2, 1, 80), rng.normal(0.0, 1, 80)], axis=1)
    own = paired_p(differences, np.arange(80), 9999)
    for column in range(2):
        wanted = stats.permutation_test(
            (differences[:, column],), lambda d, axis: d.mean(axis=axis), permutation_type="samples", n_resamples=9999
        ).pvalue
        assert own[column] == pytest.approx(wanted, abs=0.02)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
@settings(max_examples=25)
def test_no_difference_is_no_evidence(seed: int, count: int) -> None:
    units = np.arange(count)
    assert paired_p(np.zeros((count, 2)), units, 99, seed).tolist() == [1, 1]
    d = np.random.default_rng(seed).normal(size=(count, 1))
    assert paired_p(d, units, 199, seed) == pytest.approx(paired_p(-d, units, 199, seed))
    assert paired_p(d, np.zeros(count), 199, seed).tolist() == [1]


def test_a_segment_that_is_served_worse_is_found_and_no_other() -> None:
    rng = np.random.default_rng(2)
    segment = np.repeat(np.arange(6), 100)
    values = (rng.random(600) < np.where(segment == 3, 0.4, 0.8)).astype(float)
    found = gaps(values, segment, np.arange(600), 999)
    assert list(found) == [0, 1, 2, 3, 4, 5]
    worse = corrected([gap.p for gap in found.values()], "holm")
    assert [number for number, p in zip(found, worse, strict=True) if p <= 0.05] == [3]
    assert found[3].gap == pytest.approx(values.mean() - values[segment == 3].mean())
    assert found[3].low < found[3].gap < found[3].high
    assert found[3].low > 0 > found[0].low


@pytest.mark.parametrize("across", [False, True])
def test_segments_drawn_by_chance_seldom_alarm(across: bool) -> None:
    """Listings of three photos that are served alike; their segment is their own, or differs from photo to photo."""
    rng, units = np.random.default_rng(3), np.repeat(np.arange(60), 3)
    alarms = 0
    for seed in range(200):
        values = np.repeat(rng.random(60) < 0.7, 3).astype(float)
        segment = rng.integers(0, 4, 180) if across else np.repeat(rng.integers(0, 4, 60), 3)
        found = gaps(values, segment, units, 199, seed)
        alarms += min(gap.p for gap in found.values()) <= 0.05 / 4  # where Holm's method begins
    assert alarms / 200 <= 0.08


def test_one_segment_alone_has_no_gap() -> None:
    (gap,) = gaps(np.array([0.0, 1.0, 1.0]), np.zeros(3, np.int64), np.arange(3), 99).values()
    assert (gap.gap, gap.p, gap.low, gap.high) == (0, 1, 0, 0)


def test_a_segment_of_one_unit_says_nothing_of_how_sure_it_is() -> None:
    found = gaps(np.array([0.0, 0.0, 1.0, 1.0]), np.array([1, 1, 0, 0]), np.array([5, 5, 1, 2]), 99)
    assert (found[1].low, found[1].high, found[1].queries) == (-np.inf, np.inf, 2)


def test_corrections_are_those_of_the_textbook() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert corrected(p, "holm") == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert corrected(p, "fdr_bh") == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert corrected([], "holm") == []
