"""The [distill] table: what cannot be meant together is refused, and paths are those of the recipe's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgekit.recipe.training import DataSpec, DistillSpec, TeacherSpec


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"photos": 10, "epochs": 2}, "photos or epochs"),
        ({"stages": [{"until": 0.5, "size": 64}]}, "the last stage must end at 1"),
        ({"stages": [{"until": 1, "size": 64}, {"until": 0.5, "size": 64}]}, "end later"),
        ({"batch": 3}, "batch must be even"),
        ({"data": [{"name": "a", "folder": "x"}, {"name": "a", "folder": "y"}]}, "two data sets"),
        ({"data": [{"name": "a"}]}, "exactly one of catalog, folder, table and shards"),
        ({"data": [{"name": "a", "folder": "x", "shards": "y"}]}, "exactly one of"),
        ({"teachers": [{}]}, "either a model or a file of embeddings"),
        ({"teachers": [{"embeddings": "e.npy", "pretrained": True}]}, "neither weights nor pretrained"),
        ({"teachers": [{"model": "m", "weights_key": "k"}]}, "weights_key"),
        ({"rate": float("inf")}, "finite"),
        ({"rte": 1}, "rte"),
    ],
)
def test_what_cannot_be_meant_is_refused(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        DistillSpec.model_validate(table)


def test_relative_paths_are_those_of_the_recipe_s_folder() -> None:
    table = {
        "plan": "plan.json",
        "data": [{"name": "a", "table": "rows.csv", "root": "/photos"}, {"name": "b", "shards": "s-{0..3}.tar"}],
        "teachers": [{"model": "teacher.toml"}, {"model": "vit_tiny", "weights": "w.pt"}, {"embeddings": "/e.npy"}],
        "validation": {"retrieval": [{"name": "r", "data": {"name": "c", "folder": "held-out"}}]},
    }
    spec = DistillSpec.model_validate(table).below(Path("/recipes"))
    first, second = spec.data
    assert spec.plan == Path("/recipes/plan.json")
    assert (first.table, first.root) == (Path("/recipes/rows.csv"), Path("/photos"))
    assert second.shards == "/recipes/s-{0..3}.tar"
    assert [teacher.label for teacher in spec.teachers] == ["/recipes/teacher.toml", "vit_tiny", "/e.npy"]
    assert spec.teachers[1].weights == Path("/recipes/w.pt")
    assert spec.validation.retrieval[0].data.folder == Path("/recipes/held-out")


def test_tables_do_not_change() -> None:
    for table in (TeacherSpec(model="m"), DataSpec(name="a", folder=Path("x")), DistillSpec()):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(table, next(iter(type(table).model_fields)), None)
