"""Equal models have equal spaces; an older model's space is taken over by evidence alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import InputError
from edgekit.model.adapter import write_adapter
from edgekit.model.build import build
from edgekit.model.space import Evidence, Space, own_space
from edgekit.recipe import Recipe, load_recipe
from edgekit.support.files import sha256_file
from edgekit.support.progress import Silent
from tests.model.test_embedder import recipe

TOWER = recipe("tests.toys:tower")


def space_of(recipe: Recipe) -> Space:
    space = build(recipe, Silent()).space
    assert space is not None
    return space


def report(path: Path, **changes: Any) -> Path:
    model = {"name": "toy", "sha256": "0" * 64, "kind": "pytorch", "runtime": "torch"}
    content = {
        "schema": "edgekit.compatibility/1",
        "old": {**model, "space": "e24-old"},
        "new": {**model, "space": space_of(TOWER).id},
        "reindex": False,
        "allowed": 0.01,
        "ways": [{"name": "old", "change": None}, {"name": "unchanged", "change": {"low": -0.005}}],
        "k": 10,
    }
    path.write_text(json.dumps({**content, **changes}))
    return path


def test_the_id_follows_the_model_and_not_its_name() -> None:
    space = space_of(TOWER)
    assert space == space_of(TOWER.model_copy(update={"name": "another"}))
    assert space.evidence is None
    assert space.id.startswith("e24-")
    assert space.id != space_of(TOWER.override(input={"mean": (0.1, 0.2, 0.3)})).id
    assert space.id != space_of(TOWER.override(embedding={"dim": 12})).id


SEEDED = """
import sys, torch
from edgekit.model.build import build
from edgekit.recipe import Recipe
from edgekit.support.progress import Silent
torch.set_num_threads(int(sys.argv[1]))
model = {"backbone": "test_vit.r160_in1k", "seed": int(sys.argv[2])}
print(build(Recipe.model_validate({"name": "a", "model": model, "embedding": {"dim": 8}}), Silent()).space.id)
"""


def test_a_seeded_model_has_one_space_on_every_machine() -> None:
    def id_of(kernels: str, threads: int, seed: int = 0) -> str:
        environment = {**os.environ, "ATEN_CPU_CAPABILITY": kernels}
        command = [sys.executable, "-c", SEEDED, str(threads), str(seed)]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    assert id_of("default", 1) == id_of("avx2", 2) != id_of("default", 1, seed=1)


def test_a_model_that_serves_the_old_gallery_is_in_its_space(tmp_path: Path) -> None:
    path = report(tmp_path / "report.json")
    shared = space_of(TOWER.override(embedding={"compatibility": path}))
    assert shared == Space("e24-old", Evidence("compatible", space_of(TOWER).id, sha256_file(path)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": "edgekit.parity/1"}, "is no report of compatibility"),
        ({"reindex": True, "ways": []}, "must be embedded again"),
        ({"reindex": True}, "does not follow from its figures"),
        ({"allowed": 0.004}, "does not follow from its figures"),
        ({"ways": []}, "does not follow from its figures"),
        ({"ways": [{"name": "linear", "change": {"low": 0.0}}]}, "does not follow from its figures"),
        ({"ways": None}, "damaged"),
        ({"old": {"space": "e24-old", "shared": True}}, "is itself in an older one's space"),
        ({"new": {"space": "e24-other"}}, "about a model of the space e24-other"),
        ({"old": None}, "does not say which embedding spaces"),
        ({"new": {"space": None}}, "does not say which embedding spaces"),
        ({"reindex": "no"}, "damaged"),
        ({"old": []}, "damaged"),
    ],
)
def test_a_report_that_shows_nothing_is_one_line(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = report(tmp_path / "report.json", **changes)
    with pytest.raises(InputError, match=said) as caught:
        build(TOWER.override(embedding={"compatibility": path}), Silent())
    assert caught.value.field == "compatibility"
    assert "\n" not in str(caught.value)


def test_an_adapter_leads_to_the_space_that_its_file_names(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal((10, 24)).astype(np.float32)
    path = write_adapter(tmp_path / "adapter.safetensors", weight, {"old_space": "e10-old"})
    space = space_of(TOWER.override(embedding={"adapter": path}))
    assert space == Space("e10-old", Evidence("adapter", space_of(TOWER).id, sha256_file(path)))
    bare = write_adapter(tmp_path / "bare.safetensors", weight, {})
    other = space_of(TOWER.override(embedding={"adapter": bare}))
    assert other.id.startswith("e10-")
    assert other.id != own_space(10, "0" * 64)


def test_a_recipe_takes_one_of_the_two_beside_itself(tmp_path: Path) -> None:
    text = '[model]\nbackbone = "resnet18"\n[embedding]\n'
    path = tmp_path / "recipe.toml"
    path.write_text(text + 'compatibility = "report.json"\n')
    assert load_recipe(path).embedding.compatibility == tmp_path / "report.json"
    path.write_text(text + 'compatibility = "report.json"\nadapter = "a.safetensors"\n')
    with pytest.raises(InputError, match="exclude each other"):
        load_recipe(path)
