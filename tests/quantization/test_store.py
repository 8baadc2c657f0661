"""A plan and what stands beside it, written and read again; tests of what others may write are in test_few_bits.py."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import InputError
from edgekit.graph.levels import Levels
from edgekit.quantization.plan import LayerPlan, Plan
from edgekit.quantization.store import encode, read_plan, write_plan

LEVELS = {
    "table": Levels(np.arange(12, dtype=np.uint8).reshape(3, 4), 4, table=np.linspace(-1, 1, 16, dtype=np.float32)),
    "steps": Levels(np.full((3, 4), 9, np.uint8), 4, scales=np.ones((3, 2), np.float32)),
}
SHIFTS = {"moved": np.array([0.5, -0.5], np.float32)}


@pytest.fixture
def plan() -> Plan:
    rows = (
        LayerPlan(name="table", kind="linear", scheme="palette4"),
        LayerPlan(name="steps", kind="linear", scheme="w4"),
        LayerPlan(name="moved", kind="conv", scheme="w8", shifted=True),
    )
    return Plan(
        model="toy", backbone="toy", weights_sha256="0" * 64, input=(8, 8), scheme="auto", calibration=None,
        weights=hashlib.sha256(encode(LEVELS, SHIFTS)).hexdigest(), layers=rows, tensors={},
    ).holding(LEVELS, SHIFTS)  # fmt: skip


def test_a_plan_and_what_stands_beside_it_are_read_back(plan: Plan, tmp_path: Path) -> None:
    back = read_plan(write_plan(plan, tmp_path / "new"))
    assert back.to_json() == plan.to_json()
    for name, levels in LEVELS.items():
        assert np.array_equal(back.levels[name].values(), levels.values())
    assert np.array_equal(back.shifts["moved"], SHIFTS["moved"])


def test_equal_plans_are_equal_bytes(plan: Plan, tmp_path: Path) -> None:
    paths = [write_plan(plan, tmp_path / name).parent for name in "ab"]
    for name in ("plan.json", "weights.safetensors"):
        assert len({(path / name).read_bytes() for path in paths}) == 1
    assert encode(LEVELS, SHIFTS) == encode(dict(reversed(LEVELS.items())), SHIFTS)


def test_what_is_added_to_a_bias_must_be_there(plan: Plan, tmp_path: Path) -> None:
    beside = encode(LEVELS, {})
    other = plan.model_copy(update={"weights": hashlib.sha256(beside).hexdigest()}).holding(LEVELS, {})
    with pytest.raises(InputError, match="nothing to add to the bias of moved"):
        read_plan(write_plan(other, tmp_path))
