"""Which 8-bit products can leave 16 bits, and the session that adds them exactly: the same on every CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from edgekit.targets.onnx import session as onnx_session
from edgekit.targets.onnx.saturation import exposed
from edgekit.targets.onnx.static import own_weights
from tests.targets.onnx.saturation import can_saturate, products_of


def product(kind: str, weight: np.ndarray, **attributes: Any) -> onnx.ModelProto:
    """A model whose one layer takes quantized activations and `weight`, as EdgeKit writes it."""
    if kind == "MatMulInteger":
        rows = [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["levels", "step", "middle"]),
            helper.make_node(kind, ["levels", "weight", "middle"], ["y"]),
        ]
    else:
        rows = [
            helper.make_node("QuantizeLinear", ["x", "one", "zero"], ["levels"]),
            helper.make_node("DequantizeLinear", ["levels", "one", "zero"], ["image"]),
            helper.make_node("DequantizeLinear", ["weight", "one"], ["floats"]),
            helper.make_node(kind, ["image", "floats"], ["y"], **attributes),
        ]
    values = {"weight": weight, "one": np.float32(1), "zero": np.uint8(0)}
    used = {name for row in rows for name in row.input}
    made = helper.make_graph(
        rows,
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items() if name in used],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)])


def share(model: onnx.ModelProto) -> float:
    return exposed(ir.serde.deserialize_model(model).graph).get("y", 0.0)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ((64, 64), 0.0),
        ((65, 64), 1.0),
        ((-64, -64), 0.0),
        ((-64, -65), 1.0),
        ((127, -127), 0.0),
        ((127, 1, 127, 1), 0.0),
        ((1, 127, 127, 1), 0.0),
        ((127, 127, 1, 1), 0.5),
        ((0, 0, 127), 0.0),
    ],
)
def test_two_neighbours_of_one_sign_fill_16_bits_above_128(column: Sequence[int], expected: float) -> None:
    weight = np.array(column, np.int8)[:, None]
    for model in (
        product("MatMulInteger", weight),
        product("MatMul", weight),
        product("Gemm", weight),
        product("Gemm", weight.T, transB=1),
        product("Conv", weight.T[..., None, None]),
    ):
        assert share(model) == expected


def test_neighbours_in_a_convolution_are_the_channels_of_one_pixel() -> None:
    along_channels, along_pixels = np.ones((1, 2, 1, 2), np.int8), np.ones((1, 2, 1, 2), np.int8)
    along_channels[0, :, 0, 0] = along_pixels[0, 0, 0, :] = 127
    assert share(product("Conv", along_channels)) > 0
    assert share(product("Conv", along_pixels)) == 0


def test_depthwise_convolutions_and_unsigned_weights_are_safe() -> None:
    full = np.full((4, 1, 3, 3), 127, np.int8)
    assert share(product("Conv", full, group=4)) == 0
    assert share(product("Conv", np.concatenate([full, full]), group=4)) > 0
    assert share(product("MatMulInteger", np.full((4, 4), 255, np.uint8))) == 0


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_told_is_what_the_arithmetic_does(data: st.DataObject) -> None:
    """Simulated in 16 bits with the worst activations, which are found without the rule."""
    count, inputs, largest = (data.draw(st.integers(*ends)) for ends in ((1, 4), (1, 7), (50, 127)))
    values = st.lists(st.integers(-largest, largest), min_size=count * inputs * 2, max_size=count * inputs * 2)
    levels = np.array(data.draw(values), np.int8)
    for model in (
        product("MatMulInteger", levels.reshape(2 * inputs, count)),
        product("Conv", levels.reshape(count, inputs, 1, 2)),
        product("Gemm", levels.reshape(count, 2 * inputs), transB=1),
    ):
        ((_, rows),) = products_of(model)
        assert (share(model) > 0) == can_saturate(rows)


@pytest.mark.parametrize("shared", ["nothing", "zero", "levels", "floats"])
def test_layers_that_share_a_weight_load_with_the_option(shared: str) -> None:
    """As they do where a weight is tied, or where torch.onnx joins equal constants: each layer then has its own."""
    constants: dict[str, np.ndarray] = {"one": np.array(1, np.float32), "low": np.array(0, np.uint8)}
    rows = [helper.make_node("QuantizeLinear", ["x", "one", "low"], ["q"])]
    for layer in ("a", "b"):
        own = {name: f"{name}_{'' if shared in (name, 'floats') else layer}" for name in ("levels", "zero")}
        constants[own["levels"]] = np.full((16, 16), 127, np.int8)
        constants[own["zero"]], constants["scales"] = np.zeros(16, np.int8), np.full(16, 0.01, np.float32)
        floats = "floats" if shared == "floats" else f"floats_{layer}"
        if not any(floats in row.output for row in rows):
            rows.append(helper.make_node("DequantizeLinear", [own["levels"], "scales", own["zero"]], [floats], axis=1))
        rows += [
            helper.make_node("DequantizeLinear", ["q", "one", "low"], [f"image_{layer}"]),
            helper.make_node("MatMul", [f"image_{layer}", floats], [f"product_{layer}"]),
        ]
    rows.append(helper.make_node("Add", ["product_a", "product_b"], ["y"]))
    made = helper.make_graph(
        rows,
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 16])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 3, 16])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = ir.serde.deserialize_model(
        helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    )
    assert (own_weights(model.graph) > 0) == (shared != "nothing")
    model.graph.sort()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.x64quantprecision", "1")
    content = ir.serde.serialize_model(model).SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    found = session.run(None, {"x": np.full((1, 3, 16), 255, np.float32)})[0]
    np.testing.assert_allclose(found, 2 * 16 * 255 * 127 * 0.01, rtol=1e-5)


@pytest.mark.parametrize("needed", [False, True])
def test_the_option_is_set_where_the_cpu_needs_it(monkeypatch: pytest.MonkeyPatch, needed: bool) -> None:
    monkeypatch.setattr(onnx_session, "saturates", lambda: needed)
    options = onnx_session.session_options(3)
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    if needed:
        assert options.get_session_config_entry("session.x64quantprecision") == "1"
    else:
        with pytest.raises(RuntimeError):
            options.get_session_config_entry("session.x64quantprecision")


def test_the_question_put_to_the_cpu_is_a_product_that_cannot_fit() -> None:
    model = onnx.load_from_string(onnx_session._product())
    onnx.checker.check_model(model, full_check=True)
    (weight,) = model.graph.initializer
    levels = numpy_helper.to_array(weight)
    assert can_saturate(levels.T)
    assert isinstance(onnx_session.saturates(), bool)
