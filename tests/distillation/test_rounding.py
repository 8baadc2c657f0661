"""Training under a quantization plan."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgekit import graph
from edgekit.data.datasets import CatalogPictures
from edgekit.distillation.rounding import install, roundings
from edgekit.distillation.run import DistillRequest, distill
from edgekit.errors import UsageError
from edgekit.model.embedder import build_embedder, state_sha256
from edgekit.quantization import read_plan
from edgekit.quantization.simulate import Simulator, rounded
from edgekit.quantization.weights import round_weight
from edgekit.recipe import load_recipe
from edgekit.support.progress import Silent
from tests.distillation.test_run import write


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, invoke: Any) -> Any:
    """A recipe of a toy with a file of weights, and its plans: w8a8.json, w8a8-dynamic.json."""
    folder = tmp_path_factory.mktemp("rounding")
    path = write(folder, photos=160, backbone="tests.toys:wide")
    embedder = build_embedder(load_recipe(path))
    save_file(embedder.state_dict(), folder / "toy.safetensors")
    text = path.read_text().replace("[input]", 'weights = "toy.safetensors"\n[input]')
    path.write_text(text.replace('"teacher.toml"', '"teacher.toml"\nprojection = true'))
    for scheme in ("w8a8", "w8a8-dynamic", "palette4"):
        result = invoke("quantize", path, "--scheme", scheme, "--samples", 32, "--out", folder / scheme, "--quiet")
        assert result.exit_code == 0, result.stderr
    return path


def test_linear_layers_round_as_the_plan_s_simulation_does(place: Any) -> None:
    """Convolutions take the scales of the image and of batch norms elsewhere in a graph than in their modules."""
    embedder = build_embedder(load_recipe(place))
    path = place.parent / "w8a8-dynamic" / "plan.json"
    program, _ = graph.prepare(graph.capture(embedder, embedder.example()))
    schemes = {row.name: row.scheme for row in read_plan(path).layers if row.kind == "linear"}
    simulator = Simulator(program, {})
    images = np.stack([picture.image for picture in CatalogPictures(8, embedder.spec)])
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    due = torch.cat([simulator.embed(image[None], schemes) for image in pixels])
    original = torch.from_numpy(embedder.embed(images))
    rows = {
        name: row
        for name, row in roundings(embedder, read_plan(path)).items()
        if name in ("backbone.qkv", "backbone.out")
    }
    install(embedder, rows)
    found = torch.cat([torch.from_numpy(embedder.embed(image[None])) for image in images])
    error, expected = ((vectors - original).flatten() for vectors in (found, due))
    assert expected.norm() > 0
    assert torch.cosine_similarity(error, expected, dim=0) > 0.95


def test_a_static_layer_rounds_what_it_takes_and_its_weight(place: Any) -> None:
    embedder = build_embedder(load_recipe(place))
    rows = roundings(embedder, read_plan(place.parent / "w8a8" / "plan.json"))
    assert rows["backbone.stem"].range is None  # its input is the image
    install(embedder, rows)
    layer: Any = embedder.backbone.out
    row, tokens = rows["backbone.out"], torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0))
    assert row.range is not None
    taken = rounded(tokens, row.range)
    due = torch.nn.functional.linear(taken, round_weight(layer.weight), layer.bias)
    assert torch.equal(layer(tokens), due)


def test_copies_round_too_and_the_weights_stay_what_they_are(place: Any) -> None:
    embedder = build_embedder(load_recipe(place))
    before = {key: value.clone() for key, value in embedder.state_dict().items()}
    images = np.stack([picture.image for picture in CatalogPictures(4, embedder.spec)])
    plain = embedder.embed(images)
    install(embedder, roundings(embedder, read_plan(place.parent / "w8a8" / "plan.json")))
    changed = embedder.embed(images)
    assert not np.array_equal(plain, changed)
    assert np.array_equal(copy.deepcopy(embedder).embed(images), changed)
    with pytest.raises(RuntimeError):
        embedder.backbone(torch.zeros(1, 5, 8, 8))
    assert all(torch.equal(value, before[key]) for key, value in embedder.state_dict().items())
    assert "weight" not in embedder.backbone.stem.__dict__


def test_batch_norms_keep_their_statistics(place: Any) -> None:
    embedder = build_embedder(load_recipe(place))
    install(embedder, roundings(embedder, read_plan(place.parent / "w8a8" / "plan.json")))
    before = embedder.get_buffer("backbone.norm.running_mean").clone()
    embedder.train().features(torch.rand(4, 3, 64, 64) * 255)
    assert torch.equal(embedder.get_buffer("backbone.norm.running_mean"), before)


def test_gradients_go_past_the_rounding(place: Any) -> None:
    embedder = build_embedder(load_recipe(place)).requires_grad_(True)
    install(embedder, roundings(embedder, read_plan(place.parent / "w8a8" / "plan.json")))
    embedder.features(torch.rand(2, 3, 32, 32) * 255)[:, 0].sum().backward()
    for name in ("stem", "depthwise", "qkv", "out"):
        gradient = embedder.get_parameter(f"backbone.{name}.weight").grad
        assert gradient is not None
        assert gradient.abs().sum() > 0


def test_a_run_leaves_a_plan_for_its_new_weights(place: Any, tmp_path: Path, invoke: Any) -> None:
    old = place.parent / "w8a8" / "plan.json"
    result = invoke("distill", place, "--plan", old, "--out", tmp_path / "run", "--cache", tmp_path / "cache", "--json")
    assert result.exit_code == 0, result.stderr
    plan = read_plan(tmp_path / "run" / "plan.json")
    assert json.loads(result.stdout)["plan"] == str(tmp_path / "run" / "plan.json")
    embedder = build_embedder(load_recipe(tmp_path / "run" / "toy.toml"))
    assert plan.weights_sha256 == state_sha256(embedder) != read_plan(old).weights_sha256
    assert plan.tensors == read_plan(old).tensors
    export = ("--target", "onnx", "--no-verify", "--out", tmp_path / "files", "--quiet")
    fits = invoke("export", tmp_path / "run" / "toy.toml", "--plan", tmp_path / "run" / "plan.json", *export)
    assert fits.exit_code == 0, fits.stderr
    assert invoke("export", tmp_path / "run" / "toy.toml", "--plan", old, *export).exit_code == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"plan": "palette4"}, "fewer"),
        ({"plan": "other"}, "other weights"),
        ({"stages": [{"until": 1.0, "size": 32}]}, "one input size"),
        ({"compile": True}, "uncompiled"),
    ],
)
def test_a_plan_that_cannot_be_trained_under_is_refused(place: Any, tmp_path: Path, change: Any, said: Any) -> None:
    recipe = load_recipe(place)
    folder = place.parent / (change.get("plan") if change.get("plan") == "palette4" else "w8a8")
    path = folder / "plan.json"
    if change.get("plan") == "other":
        path = tmp_path / "plan.json"
        shutil.copy(folder / "weights.safetensors", tmp_path)
        path.write_text((folder / "plan.json").read_text().replace('"weights_sha256": "', '"weights_sha256": "00', 1))
        content = json.loads(path.read_text())
        content["weights_sha256"] = content["weights_sha256"][:64]
        path.write_text(json.dumps(content))
    table = recipe.model_dump(mode="json", exclude_unset=True)
    table["distill"] |= {"plan": str(path)} | {key: value for key, value in change.items() if key != "plan"}
    if "stages" in change:
        table["model"] = {"backbone": "vit_tiny_patch16_224"}
    with pytest.raises(UsageError, match=said):
        distill(DistillRequest(type(recipe).model_validate(table), tmp_path / "out", cache=tmp_path), Silent())
