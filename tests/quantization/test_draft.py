"""What is decided for a model, and each layer's row: its scheme, and what stands for it where a target lacks it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.export import ExportedProgram

from edgekit.data.datasets import CatalogPictures, Pictures, pictures
from edgekit.errors import InputError
from edgekit.model.embedder import Embedder
from edgekit.quantization.auto import Choice
from edgekit.quantization.draft import Draft, layer_row, searched, searched_row, uniform, uniform_row
from edgekit.quantization.layers import Layer, large, layers
from edgekit.quantization.plan import LayerPlan
from edgekit.quantization.sensitivity import Damage
from edgekit.quantization.settings import Settings
from edgekit.support.progress import Silent
from tests.quantization import kinds


@pytest.fixture(scope="module")
def photos(embedder: Embedder) -> Pictures:
    return CatalogPictures(16, embedder.spec, split="train")


def test_static_layers_get_ranges_and_shifts(program: ExportedProgram, photos: Pictures) -> None:
    draft = uniform(program, photos, Settings(scheme="w8a8"), Silent())
    assert draft.observer == "mse"
    assert {tensor.observer for tensor in draft.tensors.values()} == {"mse"}
    moved = {row.name for row in draft.marked().rows if row.shifted}
    assert moved == draft.marked().shifts.keys() <= {layer.name for layer in layers(program)}
    assert moved


def test_weights_alone_look_at_no_image(program: ExportedProgram, embedder: Embedder) -> None:
    draft = uniform(program, CatalogPictures(1, embedder.spec), Settings(scheme="w8"), Silent())
    assert not (draft.tensors or draft.levels or draft.shifts)


def test_only_shifts_that_a_target_needs_are_kept() -> None:
    rows = [
        LayerPlan(name="float", kind="conv", scheme="float"),
        LayerPlan(name="few", kind="conv", scheme="palette4", targets={"executorch": "float", "litert": "float"}),
        LayerPlan(name="eight", kind="conv", scheme="palette4", targets={"executorch": "w8a8-dynamic"}),
    ]
    shifts = {row.name: np.ones(2, np.float32) for row in rows}
    marked = Draft(rows, {}, "mse", shifts=shifts).marked()
    assert [row.name for row in marked.rows if row.shifted] == list(marked.shifts) == ["eight"]


@pytest.mark.parametrize("scheme", ["w8a8", "auto"])
def test_images_that_say_too_little_are_refused(
    program: ExportedProgram, embedder: Embedder, tmp_path: Path, scheme: str
) -> None:
    for number in range(20):
        Image.new("RGB", (64, 64), (200, 100, 50)).save(tmp_path / f"{number}.png")
    equal = pictures(tmp_path, 20, embedder.spec, Silent())
    for data, said in ((CatalogPictures(8, embedder.spec), "8 calibration images are too few"), (equal, "the same")):
        settings = Settings(scheme=scheme)
        with pytest.raises(InputError, match=said):
            if scheme == "auto":
                searched(program, data, [], settings, Silent())
            else:
                uniform(program, data, settings, Silent())


def tried(kind: str) -> Layer:
    return next(layer for layer in layers(kinds.prepared(kinds.between(kind))) if layer.name.startswith("tried"))


def of_kind(program: ExportedProgram, kind: str) -> Layer:
    return next(layer for layer in layers(program) if layer.kind == kind)


@pytest.mark.parametrize(
    ("scheme", "kind", "forms"),
    [
        ("w8a8", "conv", {}),
        ("w8a8-dynamic", "conv", {"coreml": "w8", "coreai": "w8", "onnx": "w8"}),
        ("w8a8-dynamic", "linear 3", {"coreml": "w8", "coreai": "w8"}),
        ("w8", "depthwise", {"executorch": "float"}),
        ("palette6", "conv", {"executorch": "w8a8-dynamic", "litert": "w8", "onnx": "w8"}),
        ("w4", "linear 3", {"executorch": "w8a8-dynamic", "litert": "w8"}),
    ],
)
def test_a_target_without_the_form_gets_the_nearest(scheme: str, kind: str, forms: dict[str, str]) -> None:
    row = layer_row(tried(kind), scheme)
    assert (row.scheme, row.targets) == (scheme, forms)


def test_a_scheme_for_all_says_why_a_layer_is_in_float(program: ExportedProgram) -> None:
    depthwise, mean = of_kind(program, "depthwise"), of_kind(program, "mean")
    assert uniform_row(depthwise, "w8a8-dynamic").scheme == "w8"
    assert not large(depthwise)
    assert uniform_row(depthwise, "palette4").why == "so few weights save nothing"
    assert (uniform_row(mean, "w8").scheme, uniform_row(mean, "w8").why) == ("float", "w8 has no form for mean")


def test_a_search_leaves_out_what_is_not_known_to_pay() -> None:
    layer = tried("conv")
    choice = Choice("mse", {}, {}, {layer.name: "w8a8"}, {}, {layer.name: {"w8a8": Damage(0.1, 0.2)}}, False)
    row = searched_row(layer, choice)
    assert row.targets == {"coreml": "w8", "coreai": "w8", "onnx": "w8"}
    assert row.damage == {"w8a8": 0.2}
    milder = searched_row(tried("linear 3"), Choice("mse", {}, {}, {"tried.layer": "w8"}, {}, {}, True))
    assert milder.targets == {"executorch": "float"}
