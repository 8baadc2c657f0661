"""The whole search on the toy tower; its steps are in test_search.py, its plans in test_search_command.py."""

from __future__ import annotations

import numpy as np
import pytest
from torch.export import ExportedProgram

from edgekit.data.datasets import CatalogPictures
from edgekit.errors import UsageError
from edgekit.model.embedder import Embedder
from edgekit.quantization.auto import Choice, choose
from edgekit.quantization.calibrate import Histogram, calibrate
from edgekit.quantization.layers import layers, static_tensors, tied
from edgekit.quantization.ranges import tie
from edgekit.quantization.schemes import candidates
from edgekit.quantization.settings import Settings
from edgekit.support.progress import Silent


@pytest.fixture(scope="module")
def ranges(program: ExportedProgram, images: np.ndarray) -> dict[str, Histogram]:
    wanted = static_tensors(program, {layer.name for layer in layers(program)})
    seen = calibrate(program, list(wanted.values()), lambda: images).histograms
    return tie({name: seen[node] for name, node in wanted.items()}, tied(program))


def choice(program: ExportedProgram, embedder: Embedder, ranges: dict[str, Histogram], min_cosine: float) -> Choice:
    judged = list(CatalogPictures(8, embedder.spec, seed=1))
    settings = Settings(observer="minmax", min_cosine=min_cosine, max_recall_drop=100)
    return choose(program, ranges, {}, judged, settings, Silent())


def test_a_loose_limit_leaves_every_layer_in_its_fastest_form(
    program: ExportedProgram, embedder: Embedder, ranges: dict[str, Histogram]
) -> None:
    made = choice(program, embedder, ranges, 0.5)
    weighted = [layer for layer in layers(program) if layer.weight is not None]
    assert all(made.schemes[layer.name] == candidates(layer.kind)[0] for layer in weighted)
    assert made.observer == "minmax"
    assert all(made.why[name] == "no static layer before or after it" for name in made.why)


def test_a_tight_limit_costs_layers_and_says_why(
    program: ExportedProgram, embedder: Embedder, ranges: dict[str, Histogram]
) -> None:
    made = choice(program, embedder, ranges, 0.9999)
    milder = [name for name, why in made.why.items() if why.startswith("as ")]
    assert milder
    for name in milder:
        assert made.schemes[name] in ("w8", "w8a8-dynamic", "float")
        assert "of cosine, or its neighbours do" in made.why[name]


def test_a_layer_whose_tensor_is_always_zero_is_in_float(
    program: ExportedProgram, embedder: Embedder, ranges: dict[str, Histogram]
) -> None:
    name = next(layer.name for layer in layers(program) if layer.kind == "linear")
    dead = Histogram(0.0, 0.0, np.zeros_like(ranges[name].counts))
    made = choice(program, embedder, {**ranges, name: dead}, 0.5)
    assert (made.schemes[name], made.why[name]) == ("float", "a tensor of it is zero on every calibration image")


def test_a_limit_that_nothing_keeps_is_refused(
    program: ExportedProgram, embedder: Embedder, ranges: dict[str, Histogram]
) -> None:
    with pytest.raises(UsageError, match="no plan keeps"):
        choice(program, embedder, ranges, 1.0)
