from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit.errors import InputError, UsageError
from edgekit.recipe.recipe import Recipe, bundled_recipes, load_recipe, resolve_model

MINIMAL = '[model]\nbackbone = "test_vit"\n'


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_recipe_is_read_with_its_defaults(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, MINIMAL + 'weights = "w.safetensors"\n[gates.fp16]\nmin_cosine = 0.99\n'))
    assert recipe.name == "mine"
    assert recipe.model.weights == tmp_path / "w.safetensors"
    assert recipe.gates.fp16.min_cosine == 0.99
    assert recipe.gates.fp16.max_recall_drop == 0.5
    assert recipe.gates.fp32.min_cosine == 0.9999


def test_a_size_may_be_one_number_or_two(tmp_path: Path) -> None:
    assert load_recipe(write(tmp_path, MINIMAL + "[input]\nsize = 96\n")).input.size == (96, 96)
    assert load_recipe(write(tmp_path, MINIMAL + "[input]\nsize = [96, 64]\n")).input.size == (96, 64)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MINIMAL + "colour = 1\n", "model.colour"),
        ("[input]\nsize = 96\n", "model: field required"),
        (MINIMAL + "[input]\nsize = -1\n", "input.size"),
        (MINIMAL + "[input]\nstd = [0.0, 1.0, 1.0]\n", "std must be positive"),
        (MINIMAL + "[embedding]\ndim = 0\n", "embedding.dim"),
        (MINIMAL + "[gates.fp32]\nmin_cosine = 2\n", "gates.fp32.min_cosine"),
        (MINIMAL + '[input]\ninterpolation = "psychic"\n', "input.interpolation"),
        ('name = "../../etc"\n' + MINIMAL, "name"),
        ("not = = toml", "is not TOML"),
        ("a = " + "[" * 5000, "is not TOML"),
        ("a = " + "9" * 5000, "is not TOML"),
    ],
)
def test_a_bad_recipe_is_one_line_that_names_the_key(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=r"mine\.toml") as caught:
        load_recipe(write(tmp_path, text))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml"):
        load_recipe(tmp_path / "none.toml")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_recipe_or_an_input_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.toml"
    path.write_bytes(content)
    try:
        assert isinstance(load_recipe(path), Recipe)
    except InputError as error:
        assert "any.toml" in str(error)


def test_without_a_model_the_project_s_own_recipe_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_model(None).name == "catalog-s0"
    write(tmp_path, 'name = "ours"\n' + MINIMAL, "edgekit.toml")
    assert resolve_model(None).name == "ours"


@pytest.mark.parametrize("name", ["test_vit", "hf-hub:org/some-model", "package.module:make.it"])
def test_a_model_may_be_a_timm_name_a_hub_id_or_a_factory(name: str) -> None:
    recipe = resolve_model(name)
    assert recipe.model.backbone == name
    assert recipe.model.is_factory == (":make" in name)
    assert recipe.model.pretrained == name.startswith("hf-hub:")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("efficientnet_bo", "efficientnet_b0"),
        ("catalog-s1", "catalog-s0"),
        ("vit_tiny_patch16_225", "vit_tiny_patch16_224"),
    ],
)
def test_a_near_name_is_suggested(typed: str, meant: str) -> None:
    with pytest.raises(UsageError, match=meant):
        resolve_model(typed)


def test_every_bundled_recipe_is_valid_and_has_its_weights() -> None:
    recipes = {name: load_recipe(path) for name, path in bundled_recipes().items()}
    assert "catalog-s0" in recipes
    for recipe in recipes.values():
        assert recipe.model.weights is not None
        assert recipe.model.weights.is_file()


def test_an_override_replaces_only_what_it_names(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, MINIMAL + "[input]\nmean = [0.5, 0.5, 0.5]\n"))
    changed = recipe.override(input={"size": (64, 64)}, model={})
    assert changed.input.mean == (0.5, 0.5, 0.5)
    assert changed.input.model_fields_set == {"mean", "size"}
    assert changed.model == recipe.model
