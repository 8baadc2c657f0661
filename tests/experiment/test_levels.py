"""The tests hold their levels: the rows of `benchmarks/experiment_levels.py`, of fewer runs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import stats

_PATH = Path(__file__).parents[2] / "benchmarks" / "experiment_levels.py"


def _module() -> ModuleType:
    import sys

    spec = importlib.util.spec_from_file_location("experiment_levels", _PATH)
    assert spec is not None and spec.loader is not None
    module = sys.modules["experiment_levels"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LEVELS = _module()
RUNS = 1000


@pytest.mark.parametrize("name", [name for name in LEVELS.TESTS if not name.startswith("canary")])
def test_false_alarms_are_as_many_as_they_should_be(name: str) -> None:
    """Of 1000 runs, between the 0.1 and the 99.9 % quantile of a binomial count whose rate is within the limits."""
    wrong, (low, high) = LEVELS.TESTS[name]
    rng = np.random.default_rng(2)
    parts = [wrong(rng, LEVELS.AT_ONCE) for _ in range(RUNS // LEVELS.AT_ONCE)]
    seen = int(np.concatenate(parts).sum())
    assert stats.binom.ppf(0.001, RUNS, low) <= seen <= stats.binom.ppf(0.999, RUNS, high)


@pytest.mark.parametrize("name", [name for name in LEVELS.TESTS if name.startswith("canary")])
def test_canaries_at_their_limit_are_seldom_let_through(name: str) -> None:
    assert LEVELS.TESTS[name][0](np.random.default_rng(2), 40).sum() <= stats.binom.ppf(0.999, 40, LEVELS.ALPHA)


def test_cuped_shrinks_the_intervals_as_the_correlation_says() -> None:
    for row in LEVELS.gains(RUNS, 2):
        assert row.measured == pytest.approx(row.expected, rel=0.01)
        assert row.expected < 0.95


@pytest.mark.slow
def test_all_levels_hold_over_ten_thousand_runs() -> None:
    rows = [*LEVELS.rates(10_000, 0)]
    assert [row.test for row in rows if not row.holds] == []
