from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit import targets
from edgekit.errors import InputError, UsageError
from edgekit.pipeline import ExportRequest, export
from edgekit.quantization import Plan, read_plan


@pytest.fixture
def plan(plans: dict[str, Path]) -> Plan:
    return read_plan(plans["w8a8"])


def test_a_plan_is_read_back_as_it_was_written(plans: dict[str, Path], plan: Plan) -> None:
    assert plan.to_json() == plans["w8a8"].read_text()
    assert plan.calibration is not None
    assert plan.calibration.images == 32
    assert {row.scheme for row in plan.layers} == {"w8a8"}


def test_zero_is_a_level_of_every_tensor(plan: Plan) -> None:
    for tensor in plan.tensors.values():
        assert tensor.low <= 0 <= tensor.high
        assert tensor.scale * (-128 - tensor.zero_point) == pytest.approx(tensor.low, abs=tensor.scale / 2)


@pytest.mark.parametrize(
    ("key", "value"),
    [("schema", "edgekit.plan/9"), ("layers", []), ("weights_sha256", "../../etc"), ("scheme", "w2"), ("more", 1)],
)
def test_a_document_that_is_no_plan_is_one_line(
    plans: dict[str, Path], tmp_path: Path, key: str, value: object
) -> None:
    content = json.loads(plans["w8"].read_text()) | {key: value}
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        read_plan(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(data)
    with pytest.raises(InputError):
        read_plan(path)


def test_a_plan_for_another_model_is_refused(plan: Plan) -> None:
    plan.check_fits(plan.weights_sha256, (64, 64))
    with pytest.raises(UsageError, match="other weights"):
        plan.check_fits("0" * 64, (64, 64))
    with pytest.raises(UsageError, match="64 x 64"):
        plan.check_fits(plan.weights_sha256, (96, 96))


def test_a_target_that_cannot_hold_a_plan_says_which_can(plan: Plan) -> None:
    plan.check_target("coreml", 17)
    with pytest.raises(UsageError, match="`min_ios=17`"):
        plan.check_target("coreml", 16)
    (row,) = targets.select("ios", "executorch")
    with pytest.raises(
        UsageError, match=r"ios \(executorch\); choose from ios \(coreml\), android \(executorch\), onnx \(onnx\)"
    ):
        export(ExportRequest("tests.toys:tower", [row], plan=plan, min_ios=18))


def test_what_a_target_cannot_hold_is_named_in_the_plan(plans: dict[str, Path]) -> None:
    rows = [row for row in read_plan(plans["w8a8-dynamic"]).layers if row.kind == "linear"]
    assert rows
    for row in rows:
        assert (row.on("onnx"), row.on("executorch"), row.on("coreml")) == ("w8a8-dynamic", "w8a8-dynamic", "w8")
