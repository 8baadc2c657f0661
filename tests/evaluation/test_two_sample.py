"""The two-sample tests beside scipy's energy distance and the definition, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from edgekit.evaluation.two_sample import KERNELS, compare, compare_shares


def by_definition(first: np.ndarray, second: np.ndarray, kernel: str) -> float:
    """Sums over pairs of different rows, as Gretton and others write the unbiased statistic."""
    every = np.concatenate([first, second])
    distances = np.array([[np.linalg.norm(a - b) for b in every] for a in every])
    width = np.median([distances[i, j] for i in range(len(every)) for j in range(i)])
    k = -distances if kernel == "energy" else np.exp(-(distances**2) / (2 * width**2))
    n, m = len(first), len(second)
    one, two = k[:n, :n], k[n:, n:]
    return float(
        (one.sum() - np.trace(one)) / (n * (n - 1)) + (two.sum() - np.trace(two)) / (m * (m - 1)) - 2 * k[:n, n:].mean()
    )


@pytest.mark.parametrize("kernel", list(KERNELS))
def test_the_statistic_is_that_of_the_definition(kernel: str) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(7, 3)), rng.normal(0.5, 1, (5, 3))
    assert compare(first, second, kernel, 19).statistic == pytest.approx(by_definition(first, second, kernel))


def test_the_energy_distance_is_that_of_scipy_in_one_dimension() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(400, 1)), rng.normal(1, 1, (300, 1))
    wanted = stats.energy_distance(first[:, 0], second[:, 0]) ** 2  # biased, by about two spreads over N
    assert compare(first, second, "energy", 19).statistic == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize("kernel", list(KERNELS))
def test_it_alarms_as_often_as_it_says_and_on_what_changed(kernel: str) -> None:
    rng = np.random.default_rng(2)
    p = [compare(rng.normal(size=(40, 4)), rng.normal(size=(40, 4)), kernel, 99, seed=seed).p for seed in range(200)]
    assert np.mean(np.array(p) <= 0.05) <= 0.09
    assert 0.4 < np.mean(p) < 0.6
    moved = compare(rng.normal(size=(40, 4)), rng.normal(0.7, 1, (40, 4)), kernel, 99)
    assert moved.p == 0.01
    assert moved.statistic > moved.limit


def test_rows_that_moved_lie_apart() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(60, 4)), rng.normal(size=(60, 4))
    second[:6] += 5
    apart = compare(first, second, "energy", 19).apart
    assert set(np.argsort(-apart)[:6].tolist()) == set(range(6))


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from(list(KERNELS)))
def test_what_is_the_same_is_no_alarm(seed: int, kernel: str) -> None:
    rows = np.random.default_rng(seed).normal(size=(12, 3))
    assert compare(rows, rows, kernel, 39).p > 0.5
    assert compare(np.ones((9, 3)), np.ones((5, 3)), kernel, 39).p == 1


def test_shares_are_compared_as_scipy_does_with_rare_texts_together() -> None:
    first, second = ["a"] * 30 + ["b"] * 20 + ["c", "d"] * 2, ["a"] * 20 + ["b"] * 40 + ["d", "e"] * 3
    found = compare_shares(first, second)
    wanted = stats.chi2_contingency([[30, 20, 4], [20, 40, 6]], correction=False)
    assert found is not None
    assert (found.statistic, found.p) == pytest.approx((wanted.statistic, wanted.pvalue))
    assert found.limit == pytest.approx(5.991, abs=1e-3)
    assert compare_shares(["a"] * 40, ["a"] * 30) is None


def test_shares_alarm_as_often_as_they_say() -> None:
    rng = np.random.default_rng(4)
    texts = np.array(list("aaaabbbccd"))
    found = [compare_shares([*rng.choice(texts, 80)], [*rng.choice(texts, 80)]) for _ in range(400)]
    assert 0.02 < np.mean([row.p <= 0.05 for row in found if row is not None]) < 0.08
