"""What a request cannot mean is refused when it is made, by the name of its field."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit import targets
from edgekit.bench.drivers import table
from edgekit.errors import UsageError

TOWER = "tests.toys:tower"
EXPORT = edgekit.ExportRequest(TOWER, ["onnx"])
QUANTIZE = edgekit.QuantizeRequest(recipe=TOWER, out="out")
BENCH = edgekit.BenchRequest(artifacts="a.onnx")


def _any(*values: object) -> tuple[object, ...]:
    return values


REFUSED: list[tuple[object, str, object]] = [
    *[(EXPORT, "precision", value) for value in _any("w8", "auto", "fp8", "FP16")],
    *[(EXPORT, "input_dtype", value) for value in _any("int8", "float16", None)],
    *[(EXPORT, "min_ios", value) for value in _any("16", 0, 16.5)],
    *[(EXPORT, "samples", value) for value in _any(0, "8", 2.5, True)],
    *[(EXPORT, "targets", value) for value in _any([], "tv")],
    *[(QUANTIZE, "samples", value) for value in _any(0, 1.5)],
    *[(QUANTIZE, "min_cosine", value) for value in _any(2, float("nan"))],
    (QUANTIZE, "max_recall_drop", -1),
    (QUANTIZE, "scheme", "w5"),
    *[(BENCH, "min_iterations", value) for value in _any(0, -1, 2.5)],
    *[(BENCH, "threads", value) for value in _any(0, -1, "2")],
    *[(BENCH, "min_duration_s", value) for value in _any(-1, float("nan"))],
    *[(BENCH, "warmup", value) for value in _any(-1, 0.5)],
    (BENCH, "images", 0),
    (BENCH, "cooldown_minutes", -1),
]


@pytest.mark.parametrize(("request_", "field", "value"), REFUSED)
def test_a_field_that_cannot_be_meant_is_refused_by_its_name(
    request_: edgekit.ExportRequest | edgekit.QuantizeRequest | edgekit.BenchRequest, field: str, value: Any
) -> None:
    with pytest.raises(UsageError) as caught:
        replace(request_, **{field: value})
    assert caught.value.field == field


def test_targets_may_come_one_by_one() -> None:
    names: Any = (name for name in ["onnx", "ios"])
    request = edgekit.ExportRequest(TOWER, names)
    assert [row.key for row in request.targets] == ["onnx", "ios"]


def test_a_recipe_and_a_plan_may_be_paths(tmp_path: Path) -> None:
    recipe = Path(__file__).parents[1] / "models" / "catalog-s0.toml"
    assert edgekit.ExportRequest(recipe, "ios").recipe == edgekit.ExportRequest("catalog-s0", "ios").recipe
    with pytest.raises(edgekit.EdgeKitError, match="plan"):
        edgekit.ExportRequest(TOWER, "onnx", plan=tmp_path / "plan.json")


def test_no_image_is_refused(tower_file: Path) -> None:
    with pytest.raises(UsageError) as caught:
        edgekit.run(tower_file, [])
    assert caught.value.field == "images"


ONNX = next(row for row in targets.TARGETS if row.key == "onnx")


@pytest.mark.parametrize(
    "row",
    [
        replace(ONNX, key="all", platform="all", suffix=".all"),
        replace(ONNX, key="../evil", format="evil", suffix=".evil"),
        replace(ONNX, key="toy", platform="toy", suffix=""),
    ],
)
def test_a_target_with_a_name_that_misleads_is_not_registered(row: targets.Target) -> None:
    before = [*targets.TARGETS]
    with pytest.raises(UsageError):
        targets.register(row)
    assert before == targets.TARGETS


def test_a_driver_that_uses_a_field_that_no_request_has_is_not_registered() -> None:
    row = table.Row(key="boards", formats=None, fields=frozenset({"nosuch"}), driver="somewhere:Driver")
    with pytest.raises(UsageError, match="nosuch"):
        table.register(row)
    assert row not in table.DRIVERS
