"""`edgekit quantize` and `edgekit export --plan`, from the model to files that the real runtimes open."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from edgekit import graph
from edgekit import quantization as quantize
from edgekit.artifact.folder import read_manifest
from edgekit.model.embedder import Embedder
from edgekit.quantization.schemes import TARGETS
from edgekit.targets import find
from tests.conftest import TOWER
from tests.quantization.conftest import SCHEMES, Invoke
from tests.targets.onnx.saturation import can_saturate, products_of


def followed(embedder: Embedder, plan: Path, target: str, images: np.ndarray) -> np.ndarray:
    """Embeddings of the quantized program itself, in PyTorch."""
    prepared, _ = graph.prepare(graph.capture(embedder, embedder.example()))
    run = quantize.apply(prepared, quantize.read_plan(plan), target)[0].module()
    with torch.no_grad():
        return np.concatenate([run(torch.from_numpy(image).permute(2, 0, 1)[None].float()) for image in images])


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("name", "format"), [("android", "executorch"), ("onnx", "onnx")])
def test_a_file_does_what_its_plan_says(
    plans: dict[str, Path], quantized: Path, embedder: Embedder, images: np.ndarray, scheme: str, name: str, format: str
) -> None:
    """As the same program in PyTorch does, but for values on a tie between two levels: some images have one."""
    target = find(name, format)
    folder = quantized / f"tests.toys-tower-{name}-{scheme}"
    found = target.backend().open(folder / f"tests.toys-tower{target.suffix}").embed(images)
    due = followed(embedder, plans[scheme], target.rewrites, images)
    cosines = (found * due).sum(axis=1)
    assert np.median(cosines) > 0.99999
    assert cosines.min() > 0.99
    original = embedder.embed(images)
    assert (found * original).sum(axis=1).min() > (0.98 if scheme == "w8a8" else 0.999)


def test_the_manifest_carries_the_plan(plans: dict[str, Path], quantized: Path) -> None:
    manifest = read_manifest(quantized / "tests.toys-tower-onnx-w8a8")
    assert manifest.precision == "w8a8"
    assert manifest.quantization == json.loads(plans["w8a8"].read_text())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_file_says_where_its_integers_do_not_fit_in_16_bits(quantized: Path, scheme: str) -> None:
    """By the arithmetic of CPUs without VNNI, simulated on the file's own weights: this CPU does not matter."""
    folder = quantized / f"tests.toys-tower-onnx-{scheme}"
    model = onnx.load(folder / "tests.toys-tower.onnx")
    products = list(products_of(model))
    short = [name for name, rows in products if can_saturate(rows)]
    assert bool(products) == bool(short) == (scheme != "w8")
    named = {item.key: item.value for item in model.metadata_props}.get("edgekit.session_options")
    assert named == ("session.x64quantprecision=1" if short else None)
    hazards = read_manifest(folder).hazards
    assert [(one.name, one.options) for one in hazards] == (
        [("int8-saturation", {"session.x64quantprecision": "1"})] if short else []
    )
    assert all(one.concerns.startswith(f"{len(short)} product") for one in hazards)
    assert read_manifest(quantized / f"tests.toys-tower-android-{scheme}").hazards == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_file_loads_with_the_option_that_it_names_and_gives_the_same(
    quantized: Path, images: np.ndarray, scheme: str
) -> None:
    """Where x86 makes uint8 weights of it, with VNNI or without: ONNX Runtime 1.32 refuses users that share a part."""
    path = quantized / f"tests.toys-tower-onnx-{scheme}" / "tests.toys-tower.onnx"
    found = find("onnx", "onnx").backend().open(path).embed(images[:4])
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    floats = images[:4].transpose(0, 3, 1, 2).astype(np.float32)
    for image, row in zip(floats, found, strict=True):
        assert float(session.run(None, {"image": image[None]})[0][0] @ row) > 0.99


def test_weights_are_the_same_integers_in_every_scheme_that_has_them(quantized: Path) -> None:
    def integers(scheme: str) -> list[bytes]:
        model = onnx.load(quantized / f"tests.toys-tower-onnx-{scheme}" / "tests.toys-tower.onnx")
        arrays = [onnx.numpy_helper.to_array(item) for item in model.graph.initializer]
        return sorted(np.sort(array, axis=None).tobytes() for array in arrays if array.dtype == np.int8 and array.ndim)

    static, only = integers("w8a8"), integers("w8")
    assert static
    assert {item for item in static if len(item) > 64} == {item for item in only if len(item) > 64}


def test_static_layers_run_on_integers_from_end_to_end(quantized: Path, tmp_path: Path) -> None:
    """ONNX Runtime fuses quantize and dequantize into its integer kernels, SiLU and residual sums included."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    path = quantized / "tests.toys-tower-onnx-w8a8" / "tests.toys-tower.onnx"
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert (kinds["QLinearConv"], kinds["QLinearSigmoid"], kinds["QLinearMul"]) == (2, 1, 1)
    assert not {"Conv", "Sigmoid", "Mul", "Gemm"} & kinds.keys()


def test_weights_of_float_layers_are_unpacked_as_the_file_is_loaded(quantized: Path, tmp_path: Path) -> None:
    """ONNX Runtime folds the cast and the product of a constant; a DequantizeLinear it would run for each image."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    path = quantized / "tests.toys-tower-onnx-w8" / "tests.toys-tower.onnx"
    assert any(item.data_type == onnx.TensorProto.INT8 for item in onnx.load(path).graph.initializer)
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    kinds = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert not {"DequantizeLinear", "Cast"} & kinds


def test_dynamic_products_run_on_integers(quantized: Path) -> None:
    model = onnx.load(quantized / "tests.toys-tower-onnx-w8a8-dynamic" / "tests.toys-tower.onnx")
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("MatMulInteger") == 4
    assert kinds.count("DynamicQuantizeLinear") == 2  # one for queries, keys and values together
    assert "DequantizeLinear" not in kinds


def test_a_phone_with_core_ml_gets_the_nearest_form(plans: dict[str, Path], invoke: Invoke, tmp_path: Path) -> None:
    result = invoke(
        "export", *TOWER, "--plan", plans["w8a8-dynamic"], "--target", "ios", "--min-ios", 17, "--samples", 24,
        "--out", tmp_path, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    (export,) = json.loads(result.stdout)["exports"]
    assert export["parity"]["verdict"] == "pass"
    rows = export["manifest"]["quantization"]["layers"]
    assert {row["targets"]["coreml"] for row in rows if row["scheme"] == "w8a8-dynamic"} == {"w8"}


def test_static_integers_in_core_ml(
    plans: dict[str, Path], embedder: Embedder, images: np.ndarray, invoke: Invoke, tmp_path: Path
) -> None:
    result = invoke(
        "export", *TOWER, "--plan", plans["w8a8"], "--target", "ios", "--min-ios", 17, "--precision", "fp32",
        "--no-verify", "--out", tmp_path, "--quiet",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    target = find("ios", "coreml")
    found = target.backend().open(tmp_path / "tests.toys-tower-ios-w8a8" / "tests.toys-tower.mlpackage").embed(images)
    cosines = (found * followed(embedder, plans["w8a8"], "coreml", images)).sum(axis=1)
    assert np.median(cosines) > 0.99999
    assert cosines.min() > 0.99


def test_a_plan_keeps_to_the_printed_schema(plans: dict[str, Path], invoke: Invoke) -> None:
    schema = json.loads(invoke("schema", "plan").stdout)
    for plan in plans.values():
        jsonschema.validate(json.loads(plan.read_text()), schema)


def test_a_second_run_writes_the_same_bytes(plans: dict[str, Path], invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("quantize", *TOWER, "--scheme", "w8a8", "--samples", 32, "--out", tmp_path, "--json")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "plan.json").read_bytes() == plans["w8a8"].read_bytes()
    losses = json.loads(result.stdout)["targets"]
    assert set(losses) == set(TARGETS)
    assert all(0.98 < row["min_cosine"] <= row["mean_cosine"] <= 1.0001 for row in losses.values())


def test_another_model_s_plan_is_refused_before_anything_is_written(
    plans: dict[str, Path], invoke: Invoke, tmp_path: Path
) -> None:
    other = ("tests.toys:tower", "--size", "64", "--dim", "8")
    result = invoke("export", *other, "--plan", plans["w8"], "--target", "onnx", "--out", tmp_path / "out", "--quiet")
    assert result.exit_code == 2
    assert "this plan is for other weights" in result.stderr
    assert not (tmp_path / "out").exists()


def test_int8_says_early_what_it_cannot_do(plans: dict[str, Path], invoke: Invoke, tmp_path: Path) -> None:
    for more, said in (
        (("--target", "ios"), "need iOS 17"),
        (("--target", "onnx", "--plan", plans["w8"]), "makes a plan of its own"),
    ):
        result = invoke("export", *TOWER, "--precision", "int8", *more, "--out", tmp_path / "out", "--quiet")
        assert result.exit_code == 2
        assert said in result.stderr
        assert not (tmp_path / "out").exists()


def test_images_of_another_domain_are_told_with_figures(plans: dict[str, Path], invoke: Invoke, tmp_path: Path) -> None:
    """Noise drives the tower far beyond what catalogue photos do; the photos themselves do not."""
    rng = np.random.default_rng(0)
    (tmp_path / "noise").mkdir()
    for number in range(16):
        pixels = 255 * rng.integers(0, 2, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "noise" / f"{number}.png")
    export = ("export", *TOWER, "--plan", plans["w8a8"], "--target", "onnx", "--allow-inconclusive")
    result = invoke(*export, "--images", tmp_path / "noise", "--out", tmp_path / "a")
    assert "not like the calibration images" in result.stderr
    assert "beyond their ranges" in result.stderr
    result = invoke(*export, "--samples", 24, "--out", tmp_path / "b")
    assert "not like the calibration images" not in result.stderr


def test_whether_a_plan_pays_is_told_and_kept(plans: dict[str, Path], invoke: Invoke, tmp_path: Path) -> None:
    export = ("export", *TOWER, "--plan", plans["w8"], "--target", "onnx", "--samples", 24, "--compare")
    result = invoke(*export, "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert "did it pay?" in result.stdout
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    payoff = read_manifest(folder).payoff
    assert payoff is not None
    fp32, _, planned = payoff.forms
    assert [form.precision for form in payoff.forms] == ["fp32", "fp16", "w8"]
    assert planned.bytes == (folder / "tests.toys-tower.onnx").stat().st_size < fp32.bytes
    assert (planned.min_cosine or 0.0) <= (fp32.min_cosine or 0.0)
    assert all(form.median_ms is not None and form.median_ms > 0 for form in payoff.forms)
    assert "times smaller than fp32" in payoff.verdict
    refused = invoke("export", *TOWER, "--target", "onnx", "--compare", "--out", tmp_path / "other")
    assert refused.exit_code == 2
    assert "--compare needs a plan" in refused.stderr
