"""Canaries: let go on, stopped, and kept waiting, for the right reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import CanaryStopError, CanaryWaitError, InputError, UsageError
from edgekit.experiment.canary import CanaryRequest, CanaryResult, judge_canary
from tests.experiment.tables import write


def requests(
    units: int = 4000, *, slower: float = 0.0, errors: float = 0.01, share: float = 0.5, seed: int = 0
) -> dict[str, Any]:
    """Requests to a stable release, with 1 % of errors, and to a canary."""
    rng = np.random.default_rng(seed)
    canary = rng.random(units) < share
    return {
        "arm": np.where(canary, "next", "stable"),
        "latency_ms": rng.lognormal(3.0, 0.2, units) * (1 + slower * canary),
        "error": (rng.random(units) < np.where(canary, errors, 0.01)).astype(np.int64),
    }


def judge(path: Path, columns: dict[str, Any], **asked: Any) -> CanaryResult:
    return judge_canary(CanaryRequest(table=write(path / "requests.parquet", columns), **asked))


@pytest.mark.parametrize("latency_at", ["p95", "p50", "mean"])
def test_a_canary_that_is_no_worse_may_continue(tmp_path: Path, latency_at: str) -> None:
    columns = requests(40_000)
    result = judge(tmp_path, columns, latency_at=latency_at, max_more_errors=0.01)
    assert result.answer == "continue"
    result.raise_for_answer()
    kept = [(f"{latency_at} latency", "kept"), ("error rate", "kept")]
    assert [(row.name, row.state) for row in result.guardrails] == kept
    assert result.requests == {"stable": (columns["arm"] == "stable").sum(), "next": (columns["arm"] == "next").sum()}
    own = columns["latency_ms"][columns["arm"] == "next"]
    seen = own.mean() if latency_at == "mean" else np.quantile(own, float(latency_at[1:]) / 100)
    assert result.guardrails[0].canary == pytest.approx(seen)


@pytest.mark.parametrize(("worse", "name"), [({"slower": 0.5}, "p95 latency"), ({"errors": 0.08}, "error rate")])
def test_a_canary_that_is_worse_is_stopped_with_the_reason(tmp_path: Path, worse: dict[str, Any], name: str) -> None:
    result = judge(tmp_path, requests(**worse))
    assert [row.name for row in result.guardrails if row.state == "broken"] == [name]
    with pytest.raises(CanaryStopError, match=f"stop the canary: {name}: .*beyond the limit") as caught:
        result.raise_for_answer()
    assert caught.value.exit_code == 16


def test_few_requests_have_to_wait(tmp_path: Path) -> None:
    for units in (30, 300):
        result = judge(tmp_path, requests(units))
        assert result.answer == "wait"
        with pytest.raises(CanaryWaitError, match="too little is known yet") as caught:
            result.raise_for_answer()
        assert caught.value.exit_code == 17


def test_worse_within_the_limit_may_continue_and_beyond_another_may_not(tmp_path: Path) -> None:
    columns = requests(100_000, slower=0.1)
    assert judge(tmp_path, columns, max_slower=0.2).answer == "continue"
    assert judge(tmp_path, columns, max_slower=0.05).answer == "stop"


def test_counts_of_errors_are_enough(tmp_path: Path) -> None:
    counts = {"arm": ["stable", "canary"], "n": [10**9, 10**8], "errors": [10**6, 10**5]}
    result = judge(tmp_path, counts, max_more_errors=0.0001)
    assert (result.answer, len(result.guardrails)) == ("continue", 1)
    assert result.guardrails[0].worse == 0
    more = {**counts, "errors": [10**6, 2 * 10**5]}
    assert judge(tmp_path, more, max_more_errors=0.0001).answer == "stop"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arm": ["stable"] * 4}, "has 1 arm, stable"),
        ({"arm": ["stable", "a", "b", "a"]}, "has 3 arms"),
        ({"latency_ms": [1.0, -2.0, 3.0, 4.0]}, "latency is -2 in row 2"),
        ({"latency_ms": [1.0, float("nan"), 3.0, 4.0]}, "no value in row 2"),
        ({"error": [0, 0, 2, 0]}, "errors is 2 in row 3"),
        ({"error": [0, -1, 0, 0]}, "errors is -1 in row 2"),
        ({"error": [0.0, 0.5, 0.0, 0.0]}, "errors is 0.5 in row 2"),
        ({"n": [1, 2, 3, 4], "error": [0, 3, 0, 0]}, "errors is 3 in row 2; it must be a whole number from 0 to n"),
        ({"n": [1, 2, 3, 10**16]}, r"n is 1e\+16 in row 4; it must be a whole number from 0 to 1e\+15"),
    ],
)
def test_values_that_cannot_be_are_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    columns = {"arm": ["stable", "next"] * 2, "latency_ms": [1.0, 2.0, 3.0, 4.0], "error": [0, 0, 1, 0], **change}
    with pytest.raises(InputError, match=words):
        judge(tmp_path, columns)


def test_columns_and_arms_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column of latencies or errors"):
        judge(tmp_path, {"arm": ["stable", "next"], "speed": [1.0, 2.0]})
    with pytest.raises(InputError, match=r"no column 'latence_ms' \(did you mean 'latency_ms'"):
        judge(tmp_path, requests(10), latency="latence_ms")
    with pytest.raises(InputError, match="no column 'arm'"):
        judge(tmp_path, {"latency_ms": [1.0]})
    with pytest.raises(UsageError, match=r"`stable` is 'old', which is no arm; choose from .* next, stable"):
        judge(tmp_path, requests(50), stable="old")
    with pytest.raises(UsageError, match="`stable` is not given"):
        judge(tmp_path, {"arm": ["v1", "v2"], "error": [0, 1]})


@pytest.mark.parametrize(
    ("field", "value"),
    [("latency_at", "p0"), ("latency_at", "median"), ("max_slower", -0.1), ("max_more_errors", 2), ("alpha", 0)],
)
def test_limits_that_cannot_be_meant_are_refused(field: str, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        CanaryRequest(table="a.csv", **{field: value})
    assert caught.value.field == field


def test_a_zero_latency_bounds_nothing(tmp_path: Path) -> None:
    columns = {**requests(2000), "latency_ms": np.zeros(2000)}
    kept = judge(tmp_path, columns, latency_at="p95").guardrails[0]
    assert (kept.state, kept.worse, kept.low, kept.high) == ("kept", 0, 0, 0)
    assert judge(tmp_path, columns, latency_at="mean").guardrails[0].state == "open"
    columns["latency_ms"] = np.where(columns["arm"] == "next", 5.0, 0.0)
    assert judge(tmp_path, columns, latency_at="p95").guardrails[0].state == "broken"
