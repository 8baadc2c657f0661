"""From a plan to a program; files are held against it in test_forms.py, the simulator in test_simulate.py."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from edgekit.errors import UsageError
from edgekit.graph.levels import Levels
from edgekit.quantization.layers import weights
from edgekit.quantization.plan import Plan
from edgekit.quantization.quantizer import apply
from tests.quantization import kinds


@pytest.fixture(scope="module")
def plan() -> Plan:
    return kinds.plan(kinds.prepared(kinds.between("conv")), lambda layer: "w8a8")


def test_static_layers_have_the_ranges_of_the_plan(plan: Plan) -> None:
    quantized, levels = apply(kinds.prepared(kinds.between("conv")), plan, "onnx")
    calls = [node for node in quantized.graph.nodes if "quantize_per_tensor" in str(node.target)]
    given = {(node.args[1], node.args[2]) for node in calls}
    known = {(tensor.scale, tensor.zero_point) for tensor in plan.tensors.values()}
    assert given
    for scale, zero in given:
        assert any(scale == pytest.approx(own) and zero == point for own, point in known)
    assert levels == []


def test_weights_alone_leave_activations_in_float(plan: Plan) -> None:
    rows = tuple(row.model_copy(update={"scheme": "float", "targets": {"coreml": "w8"}}) for row in plan.layers)
    rows = tuple(row if row.kind == "conv" else row.model_copy(update={"targets": {}}) for row in rows)
    quantized, _ = apply(kinds.prepared(kinds.between("conv")), plan.model_copy(update={"layers": rows}), "coreml")
    kinds_of = Counter(
        str(node.target).split(".")[1] for node in quantized.graph.nodes if "quantize" in str(node.target)
    )
    assert set(kinds_of) == {"dequantize_per_channel"}
    assert kinds_of["dequantize_per_channel"] == 3


def test_weights_on_few_levels_are_those_of_the_plan(plan: Plan) -> None:
    program = kinds.prepared(kinds.between("conv"))
    shape = tuple(weights(program)["tried"].shape)
    own = Levels(np.zeros(shape, np.uint8), 4, table=np.linspace(0.25, 1, 16, dtype=np.float32))
    rows = tuple(
        row.model_copy(update={"scheme": "palette4" if row.name == "tried" else "float"}) for row in plan.layers
    )
    few = plan.model_copy(update={"layers": rows}).holding({"tried": own}, {})
    quantized, levels = apply(program, few, "onnx")
    assert levels == [own]
    stored = [value for value in quantized.state_dict.values() if tuple(value.shape) == shape]
    assert any(torch.equal(value, torch.full(shape, 0.25)) for value in stored)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layers": "elsewhere"}, "a layer elsewhere that this model does not have"),
        ({"constants": ("elsewhere",)}, "a constant 'elsewhere' that this model does not have"),
    ],
)
def test_a_plan_of_another_model_is_one_line(plan: Plan, change: dict[str, object], said: str) -> None:
    if "layers" in change:
        change = {"layers": (plan.layers[0].model_copy(update={"name": "elsewhere"}), *plan.layers[1:])}
    with pytest.raises(UsageError, match=said):
        apply(kinds.prepared(kinds.between("conv")), plan.model_copy(update=change), "onnx")
