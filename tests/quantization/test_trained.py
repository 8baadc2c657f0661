"""CNNs as training leaves them keep their convolutions in 8 bits."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import click.testing
import pytest
from torch.export import ExportedProgram

from edgekit import graph
from edgekit.data.datasets import CatalogPictures
from edgekit.model.embedder import Embedder, build_embedder
from edgekit.quantization import Plan, Settings, plan_of
from edgekit.quantization.judge import Judge
from edgekit.quantization.layers import layers, names
from edgekit.quantization.plan import LayerPlan
from edgekit.quantization.simulate import Simulator
from edgekit.recipe import Recipe, resolve_model
from edgekit.support.progress import Silent
from tests.real_photos import crops, stamps, write_weights

STATIC = ("w8a8", "w8a8-dynamic")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return resolve_model("tests.toys:trained").override(input={"size": (64, 64), "mean": (0.5,) * 3, "std": (0.5,) * 3})


@pytest.fixture(scope="module")
def embedder(recipe: Recipe) -> Embedder:
    return build_embedder(recipe)


@pytest.fixture(scope="module")
def program(embedder: Embedder) -> ExportedProgram:
    return graph.prepare(graph.capture(embedder, embedder.example()))[0]


@pytest.fixture(scope="module")
def plan(recipe: Recipe, embedder: Embedder, program: ExportedProgram) -> Plan:
    parts = CatalogPictures(40, embedder.spec, split="train"), CatalogPictures(12, embedder.spec, seed=5)
    return plan_of(recipe, embedder, program, Settings(), Silent(), parts).plan


def share(program: ExportedProgram, rows: Sequence[LayerPlan], target: str) -> float:
    """Of all multiplications, those in layers whose activations are integers too."""
    work = {
        layer.name: math.prod(layer.node.meta["val"].shape) * math.prod(layer.weight.meta["val"].shape[1:])
        for layer in layers(program)
        if layer.weight is not None
    }
    return sum(work[row.name] for row in rows if row.name in work and row.on(target) in STATIC) / sum(work.values())


def test_nearly_all_of_it_runs_on_integers(program: ExportedProgram, plan: Plan) -> None:
    assert share(program, plan.layers, "executorch") > 0.9


def test_it_keeps_the_limit_on_images_that_no_range_was_taken_from(
    embedder: Embedder, program: ExportedProgram, plan: Plan
) -> None:
    photos = CatalogPictures(12, embedder.spec, seed=5)
    judge = Judge(Simulator(program, plan.tensors, shifts=plan.shifts), photos)
    assert judge.loss({row.name: row.on("executorch") for row in plan.layers}).min_cosine > 0.99


def test_what_is_added_to_biases_is_why(embedder: Embedder, program: ExportedProgram, plan: Plan) -> None:
    photos = list(CatalogPictures(12, embedder.spec, seed=5))
    schemes = {row.name: "w8a8" if row.scheme == "w8a8" else "float" for row in plan.layers}
    losses = [
        1 - Judge(Simulator(program, plan.tensors, shifts=shifts), photos).loss(schemes).mean_cosine
        for shifts in (plan.shifts, {})
    ]
    assert losses[0] < 0.7 * losses[1]


def test_the_stem_takes_pixels_as_they_are(program: ExportedProgram, plan: Plan) -> None:
    (stem,) = [layer for layer in layers(program) if layer.name.endswith("stem")]
    tensor = plan.tensors[names(program)[stem.inputs[0]]]
    assert (tensor.scale, tensor.zero_point) == (1.0, -128)


@pytest.fixture(scope="module")
def lite0(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EfficientNet-Lite0 as ImageNet left it."""
    return write_weights(tmp_path_factory.mktemp("lite0") / "lite0.safetensors")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cut-out photographs of things and animals (Debian's tuxpaint-stamps-default), and crops of two others."""
    out = tmp_path_factory.mktemp("photographs")
    package = out / "package"
    package.mkdir()
    photos = out / "photos"
    photos.mkdir()
    for path in stamps(package):
        shutil.copy(path, photos / f"{path.parent.parent.name}-{path.parent.name}-{path.name}")
    crops(out / "scenes", 40)
    for path in (out / "scenes").rglob("*.png"):
        shutil.copy(path, photos / f"{path.parent.name}-{path.name}")
    return photos


@pytest.mark.slow
def test_lite0_stays_in_8_bits_and_passes_on_other_photographs(
    lite0: Path, photographs: Path, tmp_path: Path, invoke: Callable[..., click.testing.Result]
) -> None:
    model = ("tf_efficientnet_lite0", "--weights", lite0, "--images", photographs)
    export = ("export", *model, "--precision", "int8", "--target", "all", "--min-ios", 17, "--out", tmp_path, "--json")
    result = invoke(*export)
    assert result.exit_code == 0, result.stderr
    exports = json.loads(result.stdout)["exports"]
    assert len(exports) == 3
    for row in exports:
        assert row["parity"]["verdict"] == "pass"
        assert row["parity"]["min_cosine"] >= 0.99
    plan = Plan.model_validate(exports[0]["manifest"]["quantization"])
    assert plan.calibration is not None
    assert plan.calibration.others == exports[0]["manifest"]["parity"]["images"]
    own = build_embedder(resolve_model("tf_efficientnet_lite0").override(model={"weights": lite0}))
    program = graph.prepare(graph.capture(own, own.example()))[0]
    for target in ("executorch", "onnx"):
        assert share(program, plan.layers, target) >= 0.9
