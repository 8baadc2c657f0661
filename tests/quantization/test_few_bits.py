"""Weights on few levels, from the plan to the bytes in each format."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import click.testing
import numpy as np
import onnx
import onnxruntime
import pytest
from coremltools.models import MLModel
from safetensors.numpy import load_file, save

from edgekit.data.datasets import CatalogPictures
from edgekit.errors import InputError
from edgekit.model.embedder import Embedder, build_embedder
from edgekit.quantization import read_plan
from edgekit.recipe import resolve_model
from edgekit.support.files import size_of
from edgekit.targets import Runner, find
from tests.quantization.conftest import Invoke

WIDE = ("tests.toys:wide", "--size", "64")
BITS = {"palette4": 4, "palette6": 6, "w4": 4}


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return build_embedder(resolve_model("tests.toys:wide").override(input={"size": (64, 64)}))


@pytest.fixture(scope="module")
def images(embedder: Embedder) -> np.ndarray:
    return np.stack([picture.image for picture in CatalogPictures(16, embedder.spec)])


@pytest.fixture(scope="module")
def wide_plans(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("wide")
    for scheme in BITS:
        result = invoke("quantize", *WIDE, "--scheme", scheme, "--samples", 32, "--out", out / scheme, "--quiet")
        assert result.exit_code == 0, result.stderr
    return {scheme: out / scheme / "plan.json" for scheme in BITS}


@pytest.fixture(scope="module")
def files(
    wide_plans: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, invoke: Invoke
) -> dict[tuple[str, str], Path]:
    """(format, scheme or "fp32") -> file."""
    out, paths = tmp_path_factory.mktemp("files"), {}
    for scheme in (None, *BITS):
        more = ("--plan", wide_plans[scheme]) if scheme else ()
        result = invoke(
            "export", *WIDE, *more, "--target", "all", "--min-ios", 18, "--precision", "fp32", "--no-verify",
            "--out", out, "--quiet",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        for name, suffix in (("ios", ".mlpackage"), ("onnx", ".onnx"), ("android", ".pte")):
            paths[name, scheme or "fp32"] = (
                out / f"tests.toys-wide-{name}-{scheme or 'fp32'}" / f"tests.toys-wide{suffix}"
            )
    return paths


def opened(name: str, path: Path) -> Runner:
    return find(name, {"ios": "coreml", "onnx": "onnx", "android": "executorch"}[name]).backend().open(path)


@pytest.mark.parametrize("scheme", BITS)
@pytest.mark.parametrize("name", ["ios", "onnx", "android"])
def test_files_keep_the_embedding(
    files: dict[tuple[str, str], Path], embedder: Embedder, images: np.ndarray, name: str, scheme: str
) -> None:
    cosines = (opened(name, files[name, scheme]).embed(images) * embedder.embed(images)).sum(axis=1)
    assert cosines.min() > 0.97


@pytest.mark.parametrize("scheme", ["palette4", "w4"])
def test_core_ml_and_onnx_have_the_same_weights(
    files: dict[tuple[str, str], Path], images: np.ndarray, scheme: str
) -> None:
    first, second = (opened(name, files[name, scheme]).embed(images) for name in ("ios", "onnx"))
    assert (first * second).sum(axis=1).min() > 0.99999


def test_onnx_stores_half_a_byte_a_weight_and_unpacks_it_as_it_loads(
    wide_plans: dict[str, Path], files: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    for scheme in ("palette4", "w4"):
        rows = [row for row in read_plan(wide_plans[scheme]).layers if row.on("onnx") == scheme]
        model = onnx.load(files["onnx", scheme])
        coded = [item for item in model.graph.initializer if item.data_type == onnx.TensorProto.UINT4]
        assert len(rows) == len(coded) == 5
        assert size_of(files["onnx", scheme]) < 0.45 * size_of(files["onnx", "fp32"])
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "optimized.onnx"), 4
        onnxruntime.InferenceSession(files["onnx", scheme], options, providers=["CPUExecutionProvider"])
        assert "Gather" not in {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}


@pytest.mark.parametrize(
    ("scheme", "kind", "count"),
    [("palette4", "constexpr_lut_to_dense", 5), ("w4", "constexpr_blockwise_shift_scale", 5)],
)
def test_core_ml_has_its_own_compressed_constants(
    files: dict[tuple[str, str], Path], scheme: str, kind: str, count: int
) -> None:
    program = MLModel(str(files["ios", scheme]), skip_model_load=True).get_spec().mlProgram
    (function,) = program.functions.values()
    kinds = [op.type for block in function.block_specializations.values() for op in block.operations]
    assert kinds.count(kind) == count
    assert size_of(files["ios", scheme]) < size_of(files["ios", "fp32"]) / 2


def test_palettes_fit_an_older_ios_and_steps_do_not(
    wide_plans: dict[str, Path], invoke: Invoke, tmp_path: Path
) -> None:
    export = ("export", *WIDE, "--target", "ios", "--min-ios", 16, "--samples", 24, "--out", tmp_path, "--quiet")
    assert invoke(*export, "--plan", wide_plans["palette4"]).exit_code == 0
    refused = invoke(*export, "--plan", wide_plans["w4"])
    assert refused.exit_code == 2
    assert "need iOS 18" in refused.stderr


def test_a_second_run_writes_the_same_bytes(wide_plans: dict[str, Path], invoke: Invoke, tmp_path: Path) -> None:
    assert (
        invoke("quantize", *WIDE, "--scheme", "palette4", "--samples", 32, "--out", tmp_path, "--quiet").exit_code == 0
    )
    for name in ("plan.json", "weights.safetensors"):
        assert (tmp_path / name).read_bytes() == (wide_plans["palette4"].parent / name).read_bytes()


def test_weights_are_read_back(wide_plans: dict[str, Path]) -> None:
    for scheme, path in wide_plans.items():
        plan = read_plan(path)
        assert {name for name in plan.levels} == {row.name for row in plan.layers if row.scheme == scheme}
        for own in plan.levels.values():
            assert len(np.unique(own.values())) <= 2 ** BITS[scheme] or own.scales is not None
            assert np.array_equal(own.values(), own.values().astype(np.float16)) or own.scales is not None


@pytest.mark.parametrize("harm", ["gone", "other", "cut", "codes", "table", "kind", "layer", "scales", "nan"])
def test_weights_that_are_not_the_plan_s_are_one_line(wide_plans: dict[str, Path], tmp_path: Path, harm: str) -> None:
    """Also where the plan vouches for them: both files may come from anyone."""
    source = wide_plans["w4" if harm == "scales" else "palette4"]
    tensors = load_file(source.parent / "weights.safetensors")
    codes = next(name for name in tensors if name.endswith("/codes"))
    table = next(name for name in tensors if name.endswith(("/table", "/scales")))
    if harm == "codes":
        tensors[codes] = tensors[codes] + np.uint8(200)
    elif harm in ("table", "scales"):
        tensors[table] = tensors[table][:-1]
    elif harm == "nan":
        tensors[table] = tensors[table] * np.nan
    elif harm == "kind":
        tensors[codes] = tensors[codes].astype(np.float32)
    elif harm in ("layer", "other"):
        del tensors[codes]
    data = save(tensors)[:-9] if harm == "cut" else save(tensors)
    content = json.loads(source.read_text())
    if harm != "other":
        content["weights"] = hashlib.sha256(data).hexdigest()
    (tmp_path / "plan.json").write_text(json.dumps(content))
    if harm != "gone":
        (tmp_path / "weights.safetensors").write_bytes(data)
    with pytest.raises(InputError, match=r"weights\.safetensors") as caught:
        read_plan(tmp_path / "plan.json")
    assert "\n" not in str(caught.value)


def test_a_plan_that_names_no_weights_is_refused(wide_plans: dict[str, Path], tmp_path: Path) -> None:
    content = json.loads(wide_plans["palette4"].read_text()) | {"weights": None}
    (tmp_path / "plan.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="weights: missing"):
        read_plan(tmp_path / "plan.json")


def test_large_constants_are_stored_as_indices(invoke: Invoke, tmp_path: Path) -> None:
    placed = ("tests.toys:placed", "--size", "64")
    assert invoke("quantize", *placed, "--scheme", "w8", "--out", tmp_path, "--quiet").exit_code == 0
    plan = read_plan(tmp_path / "plan.json")
    assert plan.constants == ("p_backbone_places",)
    export = (
        "--plan",
        tmp_path / "plan.json",
        "--target",
        "all",
        "--min-ios",
        17,
        "--precision",
        "fp32",
        "--no-verify",
    )
    assert invoke("export", *placed, *export, "--out", tmp_path, "--quiet").exit_code == 0
    own = build_embedder(resolve_model("tests.toys:placed").override(input={"size": (64, 64)}))
    images = np.stack([picture.image for picture in CatalogPictures(8, own.spec)])
    for name, suffix in (("ios", ".mlpackage"), ("onnx", ".onnx"), ("android", ".pte")):
        path = tmp_path / f"tests.toys-placed-{name}-w8" / f"tests.toys-placed{suffix}"
        assert (opened(name, path).embed(images) * own.embed(images)).sum(axis=1).min() > 0.999
    model = onnx.load(tmp_path / "tests.toys-placed-onnx-w8" / "tests.toys-placed.onnx")
    arrays = [onnx.numpy_helper.to_array(item) for item in model.graph.initializer]
    assert max(array.size for array in arrays if array.dtype == np.float32) < 2048
    path = tmp_path / "tests.toys-placed-ios-w8" / "tests.toys-placed.mlpackage"
    (function,) = MLModel(str(path), skip_model_load=True).get_spec().mlProgram.functions.values()
    kinds = [op.type for block in function.block_specializations.values() for op in block.operations]
    assert kinds.count("constexpr_lut_to_dense") == 1


def test_a_budget_of_size_is_kept_or_the_best_is_told(invoke: Invoke, tmp_path: Path) -> None:
    def run(size: float, *more: object) -> click.testing.Result:
        options = ("--samples", 32, "--max-size", size, *more, "--out", tmp_path / str(size), "--json")
        return invoke("quantize", *WIDE, *options)

    loose, tight = (run(size, "--min-cosine", 0.9) for size in (0.3, 0.25))
    for result, size in ((loose, 0.3), (tight, 0.25)):
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["targets"]["coreml"]["weights"] <= size
        assert json.loads(result.stdout)["targets"]["coreml"]["min_cosine"] > 0.9
    plans = [read_plan(tmp_path / size / "plan.json") for size in ("0.3", "0.25")]
    few, many = ({row.name for row in plan.layers if row.scheme == "palette4"} for plan in plans)
    assert few < many
    impossible = run(0.05)
    assert impossible.exit_code == 2
    assert "all layers in 4 bits are" in impossible.stderr
    refused = invoke("quantize", *WIDE, "--scheme", "w8", "--max-size", 0.2, "--out", tmp_path / "other")
    assert refused.exit_code == 2
