"""A release keeps the size and the latency that its recipe demands, or is refused with all that it misses."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.artifact.folder import describe_files
from edgekit.artifact.manifest import TargetInfo
from edgekit.bench import schema as s
from edgekit.errors import BudgetError, InputError
from edgekit.release.budget import check_budget, demands_of
from edgekit.release.material import Given
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


def test_a_limit_for_phones_is_kept_by_real_phones_and_each_of_them(tmp_path: Path) -> None:
    target = TargetInfo(name="android", format="onnx")
    artifact = checked(tmp_path / "a", release={"max_median_ms": {"android": 10}}, target=target)
    quick, slow, virtual = (
        measured(
            artifact, time, "android-app", device=s.Device(platform="android", model=name, emulated=name == "virtual")
        )
        for name, time in (("new", 5), ("old", 12), ("virtual", 1))
    )
    with pytest.raises(BudgetError, match="no result of `edgekit bench` on a phone"):
        check_budget([artifact], [measured(artifact, 1)])
    with pytest.raises(BudgetError, match=r"does not count \(emulated\)"):
        check_budget([artifact], [virtual])
    check_budget([artifact], [quick, virtual])
    later = slow.model_copy(update={"started_utc": "2025-01-02T03:04:05Z"})
    for results in ([quick, slow], [slow, quick], [later, quick]):
        with pytest.raises(BudgetError, match=r"12\.00 ms \(median, old"):
            check_budget([artifact], results)


def test_of_one_device_the_latest_result_counts(tmp_path: Path) -> None:
    artifact = checked(tmp_path / "a", release={"max_median_ms": {"onnx": 10}}, target=ONNX)
    slow = measured(artifact, 12, started_utc="2025-01-02T03:04:05Z")
    check_budget([artifact], [slow, measured(artifact, 8)])


def test_a_limit_for_no_target_is_no_pass(tmp_path: Path) -> None:
    for key, hint in (("andriod", "did you mean android"), ("web", "choose from ios")):
        artifact = checked(tmp_path / key, release={"max_median_ms": {key: 10}}, target=ONNX)
        with pytest.raises(InputError, match=rf"a limit for {key}, which is no target; {hint}"):
            check_budget([artifact])


def test_a_package_is_measured_by_all_of_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    one = checked(folder, release={"max_mb": 0.001})
    inside = folder / "model.mlpackage/Data"
    inside.mkdir(parents=True)
    for name in ("weight.bin", "model.mlmodel"):
        (inside / name).write_bytes(bytes(600))
    manifest = one.manifest.model_copy(update={"artifact": "model.mlpackage", "files": describe_files(folder)})
    with pytest.raises(BudgetError, match=r"a has 0\.00 MB"):
        check_budget([Given(folder, folder / "model.mlpackage", manifest, None, ())])


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


def test_a_busy_machine_is_no_excuse_for_a_pass_and_none_for_a_refusal(tmp_path: Path) -> None:
    artifact = checked(tmp_path / "a", release={"max_median_ms": {"onnx": 10}}, target=ONNX)
    busy = s.Validity(valid=False, reasons=("background",))
    quick, slow = (measured(artifact, time).model_copy(update={"validity": busy}) for time in (9, 11))
    check_budget([artifact], [quick])
    with pytest.raises(BudgetError, match="but background: measure it again"):
        check_budget([artifact], [slow])


def test_all_misses_are_told(tmp_path: Path) -> None:
    rows = [checked(tmp_path / name, 2000, {"max_mb": 0.001}) for name in ("a", "b")]
    with pytest.raises(BudgetError, match=r"a has .*1 more: b has") as caught:
        check_budget(rows)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_damaged_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bad table `release`"):
        demands_of(checked(tmp_path / "a", release={"max_mb": -1}))
