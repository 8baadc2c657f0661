"""A request becomes a plan in a file; every scheme's files are in test_command.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch.export import ExportedProgram

from edgekit.data.datasets import CatalogPictures
from edgekit.model.embedder import Embedder
from edgekit.quantization import QuantizeRequest, Settings, plan_of, quantize, read_plan
from edgekit.quantization.schemes import TARGETS
from edgekit.recipe import Recipe, resolve_model
from edgekit.support.progress import Silent


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return resolve_model("tests.toys:tower").override(input={"size": (64, 64)})


def test_a_request_becomes_a_plan_in_a_file(recipe: Recipe, tmp_path: Path) -> None:
    result = quantize(QuantizeRequest(recipe=recipe, out=tmp_path / "out", scheme="w8"), Silent())
    assert result.path == tmp_path / "out" / "plan.json"
    assert read_plan(result.path).to_json() == result.plan.to_json()
    assert result.plan.calibration is None  # weights alone need no image
    assert list(result.losses) == list(result.shares) == list(TARGETS)
    assert result.losses["executorch"].min_cosine > 0.99
    assert result.shares["onnx"] < 0.4
    assert not result.left_out.facts()


def test_parts_are_named_with_how_many_images_did_which(
    recipe: Recipe, embedder: Embedder, program: ExportedProgram
) -> None:
    parts = CatalogPictures(20, embedder.spec, split="train"), CatalogPictures(12, embedder.spec, seed=5)
    result = plan_of(recipe, embedder, program, Settings(scheme="w8a8"), Silent(), parts)
    calibration = result.plan.calibration
    assert calibration is not None
    assert (calibration.images, calibration.others, calibration.observer) == (20, 12, "mse")
    assert calibration.sha256 == parts[0].digest()
    assert (result.plan.model, result.plan.input) == (recipe.name, (64, 64))
