"""The bundled students are what their cards say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.distillation.metrics import retrieval
from edgekit.distillation.sources import open_source
from edgekit.distillation.validation import embed_photos
from edgekit.model.embedder import build_embedder
from edgekit.recipe.recipe import load_recipe, models_folder
from edgekit.support.files import sha256_file

MIN_RECALL = 0.90
# The least that a student keeps of its teacher's recall@1.
MIN_RETENTION = {"catalog-s0": 0.97, "catalog-b0": 0.97, "catalog-mobilevit-xs": 0.97, "catalog-vit-tiny": 0.97}
STUDENTS = tuple(MIN_RETENTION)


def card(name: str) -> dict[str, Any]:
    return json.loads((models_folder() / f"{name}.json").read_text())


@pytest.mark.parametrize("name", STUDENTS)
def test_a_card_describes_the_file_beside_it(name: str) -> None:
    facts, recipe = card(name), load_recipe(models_folder() / f"{name}.toml")
    assert recipe.model.weights == models_folder() / f"{name}.safetensors"
    assert facts["weights"]["sha256"] == sha256_file(recipe.model.weights)
    assert facts["embedding"] == 256
    training = load_recipe(models_folder() / "training" / f"{name}.toml")
    assert training.distill is not None
    assert training.distill.photos == facts["training"]["photos"]
    assert training.model.backbone == facts["backbone"]


@pytest.mark.parametrize("name", STUDENTS)
def test_a_student_keeps_what_its_teacher_knows(name: str) -> None:
    figures = card(name)["figures"]["retrieval"]["seller-review"]
    assert figures["gallery"] == 2000
    assert figures["recall_1"] >= MIN_RECALL
    assert figures["retention"] >= MIN_RETENTION[name]
    assert figures["retention"] == pytest.approx(figures["recall_1"] / figures["teacher_recall_1"])


def test_the_models_stay_small() -> None:
    assert sum(path.stat().st_size for path in models_folder().glob("*.safetensors")) < 45_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDENTS)
def test_measuring_again_gives_the_card_s_figures(name: str) -> None:
    training = load_recipe(models_folder() / "training" / f"{name}.toml")
    embedder = build_embedder(load_recipe(models_folder() / f"{name}.toml"))
    assert training.distill is not None
    source = open_source(training.distill.validation.retrieval[0].data)
    rows = np.arange(len(source))
    device = next(embedder.parameters()).device
    vectors = np.concatenate(
        list(embed_photos(embedder, embedder.spec, source, rows, embedder.spec.size, "fp32", device, 0))
    )
    figures = retrieval(vectors[::2], vectors[1::2], source.listings[::2], source.listings[1::2])
    assert figures.recall_1 == pytest.approx(card(name)["figures"]["retrieval"]["seller-review"]["recall_1"], abs=0.002)


def test_every_training_recipe_is_listed() -> None:
    recipes = {path.stem for path in Path(models_folder() / "training").glob("*.toml")}
    parts = {f"{name}{part}" for name in STUDENTS for part in ("", "-start", "-middle", "-late")}
    assert {*STUDENTS, "ablation"} <= recipes <= {*parts, "ablation"}
