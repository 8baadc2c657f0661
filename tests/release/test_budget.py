"""A release keeps the size and the latency that its recipe demands, or is refused with all that it misses."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.artifact.manifest import TargetInfo
from edgekit.bench import schema as s
from edgekit.errors import BudgetError, InputError
from edgekit.release.budget import check_budget, demands_of
from tests.release.made import checked, measured

ONNX = TargetInfo(name="onnx", format="onnx")


def test_without_demands_nothing_is_asked(tmp_path: Path) -> None:
    check_budget([checked(tmp_path / "a", 10_000_000)])


def test_a_size_over_the_budget_is_named(tmp_path: Path) -> None:
    small, large = (checked(tmp_path / str(size), size, {"max_mb": 0.5}) for size in (500_000, 510_000))
    check_budget([small])
    with pytest.raises(BudgetError, match=r"510000 has 0\.51 MB, the recipe's `max_mb` is 0\.5"):
        check_budget([small, large])


def test_a_latency_is_that_of_the_device_where_there_is_one(tmp_path: Path) -> None:
    artifact = checked(tmp_path / "a", release={"max_median_ms": {"onnx": 10}}, target=ONNX)
    host, phone = measured(artifact, 8), measured(artifact, 12, "android-app")
    check_budget([artifact], [host])
    with pytest.raises(BudgetError, match=r"a takes 12\.00 ms .* the recipe's limit is 10"):
        check_budget([artifact], [host, phone])


def test_what_was_not_measured_is_no_pass(tmp_path: Path) -> None:
    artifact = checked(tmp_path / "a", release={"max_median_ms": {"onnx": 10}}, target=ONNX)
    with pytest.raises(BudgetError, match="no result of `edgekit bench` says how long it takes"):
        check_budget([artifact])
    other = checked(tmp_path / "b", 999, release={"max_median_ms": {"ios": 1}}, target=ONNX)
    check_budget([other])
    with pytest.raises(BudgetError, match="no result"):
        check_budget([artifact], [measured(other, 1)])
    wrong = measured(artifact, 1, check=s.Check(images=8, min_cosine=0.1, passed=False))
    with pytest.raises(BudgetError, match=r"does not count \(wrong-output\)"):
        check_budget([artifact], [wrong])


def test_all_misses_are_told(tmp_path: Path) -> None:
    rows = [checked(tmp_path / name, 2000, {"max_mb": 0.001}) for name in ("a", "b")]
    with pytest.raises(BudgetError, match=r"a has .*1 more: b has") as caught:
        check_budget(rows)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_damaged_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bad table `release`"):
        demands_of(checked(tmp_path / "a", release={"max_mb": -1}))
