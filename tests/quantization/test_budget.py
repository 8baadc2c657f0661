from __future__ import annotations

import pytest
from torch.export import ExportedProgram

from edgekit import graph
from edgekit.data.datasets import CatalogPictures
from edgekit.data.images import Picture
from edgekit.errors import UsageError
from edgekit.graph.levels import Levels
from edgekit.model.embedder import build_embedder
from edgekit.quantization.budget import FORM, shrink, weight_share
from edgekit.quantization.draft import uniform_row
from edgekit.quantization.gptq import encode_weights
from edgekit.quantization.layers import large, layers
from edgekit.quantization.plan import LayerPlan, Plan
from edgekit.quantization.settings import Settings
from edgekit.recipe import resolve_model
from edgekit.support.progress import Silent


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    recipe = resolve_model("tests.toys:wide").override(input={"size": (64, 64)})
    return list(CatalogPictures(6, build_embedder(recipe).spec))


@pytest.fixture(scope="module")
def wide() -> ExportedProgram:
    embedder = build_embedder(resolve_model("tests.toys:wide").override(input={"size": (64, 64)}))
    return graph.prepare(graph.capture(embedder, embedder.example()))[0]


@pytest.fixture(scope="module")
def rows(wide: ExportedProgram) -> list[LayerPlan]:
    return [uniform_row(layer, "w8") for layer in layers(wide)]


@pytest.fixture(scope="module")
def palettes(wide: ExportedProgram, pictures: list[Picture]) -> dict[str, Levels]:
    wanted = {layer.name: FORM for layer in layers(wide) if large(layer)}
    return encode_weights(wide, wanted, (picture.image for picture in pictures))


def share(program: ExportedProgram, rows: list[LayerPlan], target: str = "coreml") -> float:
    plan = Plan(
        model="toy", backbone="toy", weights_sha256="0" * 64, input=(64, 64), scheme="auto", calibration=None,
        layers=tuple(rows), tensors={},
    )  # fmt: skip
    return weight_share(program, plan, target)


def test_the_share_is_of_bits(wide: ExportedProgram, rows: list[LayerPlan]) -> None:
    floats = [row.model_copy(update={"scheme": "float", "targets": {}}) for row in rows]
    assert share(wide, floats) == 1.0
    assert 0.25 < share(wide, rows) < 0.27  # biases stay in float32


def test_no_more_layers_are_taken_than_the_budget_wants(
    wide: ExportedProgram, rows: list[LayerPlan], palettes: dict[str, Levels], pictures: list[Picture]
) -> None:
    taken = []
    for size in (0.22, 0.17):
        limits = Settings(max_size=size, min_cosine=0.5, max_recall_drop=100)
        smaller = shrink(wide, rows, palettes, pictures, limits, Silent())
        assert share(wide, smaller) <= size
        assert share(wide, smaller, "executorch") == share(wide, rows, "executorch")
        taken.append({row.name for row in smaller if row.scheme == FORM})
        assert all(row.why == "to keep the size" for row in smaller if row.scheme == FORM)
    assert taken[0] < taken[1]


@pytest.mark.parametrize(
    ("size", "min_cosine", "said"), [(0.05, 0.5, "all layers in 4 bits are 0.1"), (0.17, 0.99999, "lower `min_cosine`")]
)
def test_a_budget_that_cannot_be_met_says_the_best(
    wide: ExportedProgram,
    rows: list[LayerPlan],
    palettes: dict[str, Levels],
    pictures: list[Picture],
    size: float,
    min_cosine: float,
    said: str,
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        shrink(wide, rows, palettes, pictures, Settings(max_size=size, min_cosine=min_cosine), Silent())
    assert caught.value.field == "max_size"
