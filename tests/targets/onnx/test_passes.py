"""Each ONNX pass on the pattern that it is for: it fires, and ONNX Runtime computes the same as without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from edgekit.targets.onnx.passes import improve

Rows = Sequence[tuple[str, list[str], str, dict[str, Any]]]


def graph(shape: Sequence[int | str], rows: Rows, constants: dict[str, np.ndarray]) -> onnx.ModelProto:
    """A model from `x` to `y`: rows of (operator, inputs, output, attributes)."""
    made = [helper.make_node(kind, inputs, [output], **attributes) for kind, inputs, output, attributes in rows]
    proto = helper.make_graph(
        made,
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def improved(model: onnx.ModelProto, x: np.ndarray, tolerance: float = 1e-5) -> tuple[dict[str, int], Counter[str]]:
    """What fired and the operators afterwards, having checked that the result is the same."""
    changed = ir.serde.deserialize_model(model)
    counts = improve(changed)
    after = ir.serde.serialize_model(changed)
    onnx.checker.check_model(after, full_check=True)
    assert [value.name for value in after.graph.output] == ["y"]
    np.testing.assert_allclose(run(after, x), run(model, x), rtol=tolerance, atol=tolerance)
    return counts, Counter(node.op_type for node in after.graph.node)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[2, 3], [-1, -2]])
@pytest.mark.parametrize("batch", [2, "batch"])
def test_a_mean_over_the_image_becomes_global_pooling(keepdims: int, axes: list[int], batch: int | str) -> None:
    rows = [("ReduceMean", ["x", "axes"], "m", {"keepdims": keepdims}), ("Relu", ["m"], "y", {})]
    model = graph([batch, 5, 4, 6], rows, {"axes": np.array(axes)})
    counts, kinds = improved(model, normal(2, 5, 4, 6))
    assert counts["pool_globally"] == 1
    assert kinds["ReduceMean"] == 0


@pytest.mark.parametrize("axes", [[1], [1, 2], [2]])
def test_another_mean_stays(axes: list[int]) -> None:
    model = graph([2, 5, 4, 6], [("ReduceMean", ["x", "axes"], "y", {"keepdims": 1})], {"axes": np.array(axes)})
    counts, kinds = improved(model, normal(2, 5, 4, 6))
    assert counts["pool_globally"] == 0
    assert kinds["ReduceMean"] == 1


def affine_then_conv(kernel: int, pads: int, bias: bool) -> onnx.ModelProto:
    constants = {"g": normal(4, 1, 1), "s": normal(1, 4, 1, 1), "w": normal(6, 4, kernel, kernel), "b": normal(6)}
    rows = [
        ("Mul", ["x", "g"], "a", {}),
        ("Add", ["s", "a"], "b0", {}),
        ("Conv", ["b0", "w", *(["b"] if bias else [])], "y", {"pads": [pads] * 4}),
    ]
    return graph([1, 4, 5, 5], rows, constants if bias else {k: v for k, v in constants.items() if k != "b"})


@pytest.mark.parametrize("bias", [True, False])
def test_a_scale_and_shift_go_into_the_next_pointwise_convolution(bias: bool) -> None:
    counts, kinds = improved(affine_then_conv(1, 0, bias), normal(1, 4, 5, 5))
    assert counts["fold_affine_into_convolution"] == 1
    assert kinds == {"Conv": 1}


@pytest.mark.parametrize(("kernel", "pads"), [(3, 1), (3, 0), (1, 1)])
def test_a_shift_stays_where_a_border_or_a_kernel_would_see_it(kernel: int, pads: int) -> None:
    counts, kinds = improved(affine_then_conv(kernel, pads, True), normal(1, 4, 5, 5))
    assert counts["fold_affine_into_convolution"] == 0
    assert kinds == {"Mul": 1, "Add": 1, "Conv": 1}


@pytest.mark.parametrize("flipped", [False, True])
def test_a_blend_of_an_image_and_its_pooling_becomes_two_scales(flipped: bool) -> None:
    sums = ["m", "x"] if flipped else ["x", "m"]
    rows = [
        ("AveragePool", ["x"], "p", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("Sub", ["p", "x"], "d", {}),
        ("Mul", ["d", "g"], "m", {}),
        ("Add", sums, "y", {}),
    ]
    counts, kinds = improved(graph([2, 4, 6, 6], rows, {"g": normal(4, 1, 1)}), normal(2, 4, 6, 6))
    assert counts["blend_by_channel"] == 1
    assert kinds == {"AveragePool": 1, "BatchNormalization": 2, "Add": 1}


def test_a_layer_norm_is_parted_from_its_sum() -> None:
    rows = [
        ("Add", ["x", "x"], "s", {}),
        ("LayerNormalization", ["s", "g", "g"], "y", {"axis": -1, "epsilon": 1e-6}),
    ]
    counts, kinds = improved(graph([2, 3, 8], rows, {"g": normal(8)}), normal(2, 3, 8))
    assert counts["part_norms_from_sums"] == 1
    assert kinds["Reshape"] == 2


def unfold(channels: int, rows: int, columns: int, patch: int) -> onnx.ModelProto:
    """MobileViT's patches: [1,C,H,W] to [patch*patch, patches, C], as two transposes with a reshape between."""
    count = rows * columns
    constants = {
        "a": np.array([channels * rows, patch, columns, patch]),
        "b": np.array([channels, count, patch * patch]),
    }
    steps = [
        ("Reshape", ["x", "a"], "r", {}),
        ("Transpose", ["r"], "t", {"perm": [0, 2, 1, 3]}),
        ("Reshape", ["t", "b"], "u", {}),
        ("Transpose", ["u"], "y", {"perm": [2, 1, 0]}),
    ]
    return graph([1, channels, rows * patch, columns * patch], steps, constants)


@settings(max_examples=15, deadline=None)
@given(st.integers(16, 40), st.integers(2, 5), st.integers(2, 5), st.integers(2, 3))
def test_unfolding_patches_moves_blocks(channels: int, rows: int, columns: int, patch: int) -> None:
    x = normal(1, channels, rows * patch, columns * patch)
    counts, kinds = improved(unfold(channels, rows, columns, patch), x, tolerance=0)
    assert counts["transpose_in_blocks"] == 1
    assert kinds["Einsum"] == 1
    assert kinds["Transpose"] == 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_chain_of_transposes_and_reshapes_gives_the_same_elements(data: st.DataObject) -> None:
    """Random permutations with random regroupings between them, whether the pass fires or not."""
    sizes = data.draw(st.lists(st.sampled_from([1, 2, 3, 4, 6, 16, 18]), min_size=3, max_size=5))
    shape, steps, constants = list(sizes), [], {}
    for index in range(data.draw(st.integers(1, 4))):
        perm = data.draw(st.permutations(range(len(shape))))
        steps.append(("Transpose", {"perm": list(perm)}))
        shape = [shape[axis] for axis in perm]
        cuts = [axis for axis in range(1, len(shape)) if data.draw(st.booleans())]
        shape = [int(np.prod(shape[start:stop])) for start, stop in pairwise([0, *cuts, len(shape)])]
        if data.draw(st.booleans()) and shape[0] % 2 == 0:
            shape = [2, shape[0] // 2, *shape[1:]]
        constants[f"s{index}"] = np.array(shape)
        steps.append(("Reshape", {}))
    rows, value = [], "x"
    for index, (kind, attributes) in enumerate(steps):
        inputs = [value] if kind == "Transpose" else [value, f"s{index // 2}"]
        value = "y" if index == len(steps) - 1 else f"v{index}"
        rows.append((kind, inputs, value, attributes))
    x = np.arange(np.prod(sizes), dtype=np.float32).reshape(sizes)
    improved(graph(sizes, rows, constants), x, tolerance=0)


@pytest.mark.parametrize("perm", [[0, 1, 2, 3], [0, 2, 1, 3], [0, 2, 3, 1], [0, 3, 1, 2]])
def test_transposes_that_are_fast_already_stay(perm: list[int]) -> None:
    model = graph([2, 20, 6, 5], [("Transpose", ["x"], "y", {"perm": perm})], {})
    counts, kinds = improved(model, normal(2, 20, 6, 5), tolerance=0)
    assert counts["transpose_in_blocks"] == 0
    assert kinds == {"Transpose": 1}
