from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.export import ExportedProgram

from edgekit.data.datasets import CatalogPictures, Pictures, pictures
from edgekit.errors import InputError
from edgekit.model.embedder import Embedder
from edgekit.quantization.draft import Draft, searched, uniform
from edgekit.quantization.layers import layers
from edgekit.quantization.plan import LayerPlan
from edgekit.quantization.settings import Settings
from edgekit.support.progress import Silent


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
        LayerPlan(name="few", kind="conv", scheme="palette4", targets={"executorch": "float"}),
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
    for data, said in ((CatalogPictures(8, embedder.spec), "8 calibration images are too few"), (equal, "are equal")):
        settings = Settings(scheme=scheme)
        with pytest.raises(InputError, match=said):
            if scheme == "auto":
                searched(program, data, [], settings, Silent())
            else:
                uniform(program, data, settings, Silent())
