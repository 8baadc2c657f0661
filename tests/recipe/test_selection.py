"""A recipe by its name, with the options that say which weights are meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import UsageError
from edgekit.recipe import load_recipe
from edgekit.recipe.selection import ModelOptions, select_recipe


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe with weights of its own, of which it names a part."""
    path = tmp_path / "own.toml"
    path.write_text('[model]\nbackbone = "test_vit"\nweights = "own.pt"\nweights_key = "student"\nseed = 5\n')
    return path


def test_without_options_a_recipe_is_as_it_was_written(recipe: Path) -> None:
    assert select_recipe(str(recipe)) == load_recipe(recipe)
    options: ModelOptions = {"weights": None, "weights_key": None, "pretrained": False, "output": None, "pool": None}
    assert select_recipe(str(recipe), **options) == load_recipe(recipe)
    assert select_recipe(str(recipe), seed=None, size=None, dim=None) == load_recipe(recipe)


def test_each_option_changes_its_key_alone(recipe: Path) -> None:
    changed = select_recipe(str(recipe), seed=0, size=96, dim=16, output="1", pool="avg")
    assert (changed.input.size, changed.embedding.dim) == ((96, 96), 16)
    assert (changed.model.seed, changed.model.output, changed.model.pool) == (0, "1", "avg")
    assert changed.model.weights == recipe.parent / "own.pt"
    assert changed.model.weights_key == "student"


def test_other_weights_take_no_key_of_the_recipe_s_own(recipe: Path) -> None:
    changed = select_recipe(str(recipe), weights=Path("other.pt")).model
    assert (changed.weights, changed.weights_key, changed.pretrained) == (Path("other.pt"), None, False)
    assert select_recipe(str(recipe), weights_key="teacher").model.weights_key == "teacher"
    published = select_recipe(str(recipe), pretrained=True).model
    assert (published.weights, published.weights_key, published.pretrained) == (None, None, True)


@pytest.mark.parametrize(
    ("model", "options", "field", "words"),
    [
        ("test_vit", ModelOptions(weights=Path("w.pt"), pretrained=True), "pretrained", "`weights` and `pretrained`"),
        ("test_vit", ModelOptions(weights_key="ema"), "weights_key", "give it with `weights`"),
        ("test_vit", ModelOptions(weights_key="ema", pretrained=True), "weights_key", "`weights_key` names a part"),
        ("tests.toys:tower", ModelOptions(pretrained=True), "pretrained", "brings its own weights"),
    ],
)
def test_what_cannot_be_meant_names_the_field(model: str, options: ModelOptions, field: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        select_recipe(model, **options)
    assert refused.value.field == field
