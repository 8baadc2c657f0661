"""Every form that a plan can give a layer is lowered by every target that it claims, and gives the plan's numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgekit import graph
from edgekit import quantization as quantize
from edgekit.targets import LowerOptions, Precision, find
from tests.quantization import kinds

TARGETS = {
    "coreai": ("ios", "coreai"),
    "ios": ("ios", "coreml"),
    "android": ("android", "executorch"),
    "litert": ("android", "litert"),
    "onnx": ("onnx", "onnx"),
}
# What the layer that is tried has, and what the layers around it have.
FORMS: tuple[tuple[str, str], ...] = (
    ("w8a8", "w8a8"),
    ("w8a8", "float"),
    ("w8a8-dynamic", "w8a8"),
    ("w8", "w8a8"),
    ("w8", "float"),
    ("float", "w8a8"),
)
QUICK = (
    ("padded depthwise", "w8", "w8a8", "android"),
    ("padded, pooled", "float", "w8a8", "android"),
    ("padded", "w8a8", "w8a8", "android"),
    ("shared", "w8a8", "w8a8", "android"),
    ("linear 4", "w8a8-dynamic", "w8a8", "android"),
    ("padded", "w8a8", "w8a8", "onnx"),
    ("zero depthwise channels", "w8a8", "w8a8", "onnx"),
    ("padded depthwise", "w8a8", "w8a8", "ios"),
    ("padded", "w8a8", "w8a8", "litert"),
    ("zero depthwise channels", "w8a8", "w8a8", "litert"),
    ("linear 4", "w8a8-dynamic", "w8a8", "litert"),
    ("padded depthwise", "w8", "w8a8", "litert"),
    ("padded depthwise", "w8a8", "w8a8", "coreai"),
    ("linear 4", "w8", "float", "coreai"),
)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(((one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)).min())


def lowered(
    kind: str, own: str, around: str, name: str, folder: Path, precision: Precision = "fp32"
) -> tuple[Path, float, float]:
    """The file, and its smallest cosine to the quantized program in PyTorch and to the float module."""
    module, target, images = kinds.between(kind), find(*TARGETS[name]), kinds.images()
    program = kinds.prepared(module)
    plan = kinds.plan(program, lambda layer: own if layer.startswith("tried") else around)
    quantized, levels = quantize.apply(program, plan, target.rewrites)
    rewritten, _ = graph.specialize(quantized, target.rewrites)
    path = folder / f"toy{target.suffix}"
    target.backend().lower(
        rewritten, path, LowerOptions(precision=precision, min_ios=27 if name == "coreai" else 17, levels=levels)
    )
    found, run = target.backend().open(path).embed(images), quantized.module()
    with torch.no_grad():
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        due = np.concatenate([run(image[None]).numpy() for image in pixels])
        return path, cosine(found, due), cosine(found, module(pixels).numpy())


@pytest.mark.parametrize(("kind", "own", "around", "name"), QUICK)
def test_the_forms_that_failed(kind: str, own: str, around: str, name: str, tmp_path: Path) -> None:
    _, to_plan, to_float = lowered(kind, own, around, name, tmp_path)
    assert to_plan > 0.9995
    assert to_float > 0.999


@pytest.mark.parametrize(("kind", "own", "around"), [("padded depthwise", "w8a8", "w8a8"), ("linear 4", "w8", "float")])
def test_core_ai_is_half_beside_integers(kind: str, own: str, around: str, tmp_path: Path) -> None:
    _, to_plan, to_float = lowered(kind, own, around, "coreai", tmp_path, "fp16")
    assert to_plan > 0.999
    assert to_float > 0.998


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("kind", kinds.KINDS)
def test_every_form_of_every_kind(kind: str, name: str, tmp_path: Path) -> None:
    for own, around in FORMS:
        _, to_plan, to_float = lowered(kind, own, around, name, tmp_path)
        assert to_plan > 0.9995, (own, around)
        assert to_float > 0.999, (own, around)


def test_layers_of_integers_are_integers_in_litert_files(tmp_path: Path) -> None:
    """Between static layers nothing goes back to float, and the codes and scales are the plan's own."""
    path, _, _ = lowered("padded depthwise", "w8a8", "w8a8", "litert", tmp_path)
    interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    operators = interpreter._get_ops_details()
    assert [item["op_name"] for item in operators] == [
        "QUANTIZE", "CONV_2D", "PAD", "DEPTHWISE_CONV_2D", "CONV_2D", "DEQUANTIZE", "MEAN", "RESHAPE",
    ]  # fmt: skip
    tensors = {item["index"]: item for item in interpreter.get_tensor_details()}
    for item in operators:
        if item["op_name"].endswith("CONV_2D"):
            kinds = [tensors[int(index)]["dtype"] for index in (*item["inputs"], *item["outputs"])]
            assert kinds == [np.int8, np.int8, np.int32, np.int8]
            weight = tensors[int(item["inputs"][1])]["quantization_parameters"]
            assert len(weight["scales"]) == width_of(tensors[int(item["outputs"][0])])


def width_of(tensor: dict[str, Any]) -> int:
    """The output channels of a layer whose result this is."""
    return int(tensor["shape"][-1])


def test_zeros_are_put_around_integers(tmp_path: Path) -> None:
    """ONNX Runtime makes one convolution of integers of a padding and what takes it."""
    path, _, _ = lowered("padded depthwise", "w8a8", "w8a8", "onnx", tmp_path)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    nodes = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert nodes.count("QLinearConv") == 3
    assert "Pad" not in nodes
