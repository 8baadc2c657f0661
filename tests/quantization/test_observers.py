from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.quantization.observers import BINS, OBSERVERS


def histogram(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    low, high = float(values.min()), float(values.max())
    return np.histogram(values, BINS, (low, high))[0], low, high


@pytest.mark.parametrize("name", sorted(OBSERVERS.keys() - {"margin"}))
@given(
    counts=st.lists(st.integers(0, 10**6), min_size=BINS // 64, max_size=BINS // 64).filter(any),
    low=st.floats(-1e4, 0),
    width=st.floats(1e-3, 1e4),
)
def test_a_range_lies_within_what_was_seen_and_zero(name: str, counts: list[int], low: float, width: float) -> None:
    found = OBSERVERS[name](np.repeat(counts, 64), low, low + width)
    slack = 1e-6 * (abs(low) + width)
    assert min(low, 0) - slack <= found[0] <= found[1] <= max(low + width, 0) + slack


def test_margin_goes_half_as_far_again() -> None:
    counts, low, high = histogram(np.random.default_rng(0).normal(size=10_000))
    assert OBSERVERS["margin"](counts, low, high) == (1.5 * low, 1.5 * high)


def test_minmax_keeps_all() -> None:
    counts, low, high = histogram(np.random.default_rng(0).normal(size=10_000))
    assert OBSERVERS["minmax"](counts, low, high) == (low, high)


@pytest.mark.parametrize("name", ["percentile", "mse", "entropy"])
def test_one_outlier_does_not_widen_the_range(name: str) -> None:
    """A normal distribution and one value 200 deviations away: 256 levels over all of it would leave few within."""
    values = np.append(np.random.default_rng(0).normal(size=200_000), 200.0)
    _, high = OBSERVERS[name](*histogram(values))
    assert high < 180


def test_mse_clips_no_uniform_distribution() -> None:
    low, high = OBSERVERS["mse"](np.full(BINS, 100), -1.0, 3.0)
    assert low == pytest.approx(-1, abs=0.05)
    assert high == pytest.approx(3, abs=0.15)


def test_mse_is_no_worse_than_minmax_on_what_it_counts() -> None:
    values = np.random.default_rng(1).standard_t(3, size=100_000)
    errors = {}
    for name in ("minmax", "mse"):
        low, high = OBSERVERS[name](*histogram(values))
        low, high = min(low, 0), max(high, 0)
        scale = (high - low) / 255
        levels = np.clip(np.rint((values - low) / scale), 0, 255)
        errors[name] = float(np.mean((levels * scale + low - values) ** 2))
    assert errors["mse"] < errors["minmax"]
