from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from torch.export import ExportedProgram

from edgekit.data.datasets import CatalogPictures
from edgekit.model.embedder import Embedder
from edgekit.quantization.judge import Judge, Loss, recall_drops
from edgekit.quantization.layers import layers
from edgekit.quantization.simulate import Simulator


@pytest.fixture(scope="module")
def judge(program: ExportedProgram, embedder: Embedder) -> Judge:
    return Judge(Simulator(program, {}), CatalogPictures(6, embedder.spec))


@pytest.fixture(scope="module")
def rounded(program: ExportedProgram) -> Mapping[str, str]:
    """All weights in 8 bits."""
    return {layer.name: "w8" for layer in layers(program) if layer.weight is not None}


def test_float_loses_nothing(judge: Judge, embedder: Embedder, images: np.ndarray) -> None:
    assert judge.cosines({}) == pytest.approx(np.ones(6), abs=1e-6)
    assert judge.loss({}).recall_drop == judge.loss({}).mixed_drop == 0
    assert np.allclose(judge.original, embedder.embed(images[:6]), atol=1e-4)


def test_the_loss_is_the_worst_and_mean_of_the_cosines(judge: Judge, rounded: Mapping[str, str]) -> None:
    cosines, loss = judge.cosines(rounded), judge.loss(rounded)
    assert 0.99 < cosines.min() < 1
    assert (loss.min_cosine, loss.mean_cosine) == pytest.approx((cosines.min(), cosines.mean()))
    assert judge.worst(rounded, range(6), 0.0) == loss.min_cosine


def test_judging_ends_at_the_first_image_below_the_limit(judge: Judge, rounded: Mapping[str, str]) -> None:
    cosines = judge.cosines(rounded)
    worst = int(cosines.argmin())
    loss = judge.loss(rounded, [worst], float(cosines.min()) + 1e-9)
    assert loss.missed == worst
    assert loss.min_cosine == loss.mean_cosine == cosines.min()
    assert judge.worst(rounded, range(6), 1.0) == cosines[0]


def test_both_limits_must_be_kept_where_they_are_known() -> None:
    assert Loss(0.99, 1.0).meets(0.99, 0.3)
    assert not Loss(0.98, 1.0).meets(0.99, 0.3)
    assert not Loss(1.0, 1.0, recall_drop=0.1, mixed_drop=0.4).meets(0.99, 0.3)


def test_recall_is_lost_where_neighbours_change() -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.normal(size=(20, 8)), 2, axis=0)
    original = centres + 0.01 * rng.normal(size=(40, 8))
    original = (original / np.linalg.norm(original, axis=1, keepdims=True)).astype(np.float32)
    labels = [str(row // 2) for row in range(40)]
    assert recall_drops(original, original, labels) == (0, 0)
    alone, mixed = recall_drops(np.roll(original, 1, axis=0), original, labels)
    assert min(alone, mixed) > 10
