from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.distillation.overrides import override
from edgekit.errors import UsageError
from edgekit.recipe import ModelSpec, Recipe, load_recipe
from edgekit.recipe.training import DistillSpec, ValidationSpec
from tests.distillation.conftest import one_line

RECIPE = """
[model]
backbone = "test_vit"
weights = "w.safetensors"

[input]
mean = [0.5, 0.5, 0.5]

[distill]
photos = 1000
rate = 0.002

[[distill.teachers]]
model = "big.toml"
weight = 2.0

[[distill.teachers]]
embeddings = "vectors/a.npy"

[[distill.data]]
name = "shop"
folder = "photos"
labels = { kind = "folder" }

[[distill.data]]
name = "web"
shards = "shards/s-{000..003}.tar"

[[distill.data]]
name = "list"
table = "/data/list.csv"
root = "images"

[[distill.validation.retrieval]]
name = "find"
data = { name = "held-out", table = "held.csv" }
"""
BARE = Recipe(name="toy", model=ModelSpec(backbone="test_vit"))


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "toy.toml").write_text(RECIPE)
    return load_recipe(tmp_path / "toy.toml")


def changed(recipe: Recipe, **keys: Any) -> DistillSpec:
    out = override(recipe, **keys).distill
    assert out is not None
    return out


def validation(recipe: Recipe) -> ValidationSpec:
    assert recipe.distill is not None
    return recipe.distill.validation


def refused(recipe: Recipe, *parts: str, **keys: Any) -> None:
    with pytest.raises(UsageError) as caught:
        override(recipe, **keys)
    message = one_line(caught)
    for part in parts:
        assert part in message


def test_relative_paths_of_a_recipe_are_below_its_folder(recipe: Recipe, tmp_path: Path) -> None:
    distill = recipe.distill
    assert distill is not None
    assert distill.teachers[0].model == str(tmp_path / "big.toml")
    assert distill.teachers[1].embeddings == tmp_path / "vectors" / "a.npy"
    assert distill.data[0].folder == tmp_path / "photos"
    assert distill.data[1].shards == str(tmp_path / "shards" / "s-{000..003}.tar")
    assert (distill.data[2].table, distill.data[2].root) == (Path("/data/list.csv"), tmp_path / "images")
    assert distill.validation.retrieval[0].data.table == tmp_path / "held.csv"
    assert recipe.model.weights == tmp_path / "w.safetensors"


def test_without_changes_nothing_changes(recipe: Recipe) -> None:
    same = override(recipe)
    assert same == recipe
    assert same.input.model_fields_set == {"mean"}  # what is not set still comes from the backbone
    assert changed(BARE) == DistillSpec()


def test_paths_of_the_command_line_are_those_of_the_working_directory(recipe: Recipe) -> None:
    spec = changed(recipe, data=["photos"], teachers=["v.npy"])
    assert spec.data[0].folder == Path("photos")
    assert spec.teachers[0].embeddings == Path("v.npy")


@pytest.mark.parametrize(
    ("text", "model", "embeddings"),
    [
        ("big.toml", "big.toml", None),
        ("vit_tiny_patch16_224", "vit_tiny_patch16_224", None),
        ("hf-hub:org/some-model", "hf-hub:org/some-model", None),
        ("pkg.models:make", "pkg.models:make", None),
        ("out/v.npy", None, Path("out/v.npy")),
        ("out/v.parquet", None, Path("out/v.parquet")),
    ],
)
def test_a_teacher_is_a_model_or_a_file(recipe: Recipe, text: str, model: str | None, embeddings: Path | None) -> None:
    (teacher,) = changed(recipe, teachers=[text]).teachers
    assert (teacher.model, teacher.embeddings, teacher.weight) == (model, embeddings, 1.0)


@pytest.mark.parametrize(
    ("text", "name", "kind", "value"),
    [
        ("photos", "photos", "folder", Path("photos")),
        ("../my photos/", "my-photos", "folder", Path("../my photos")),
        ("x/list.csv", "list", "table", Path("x/list.csv")),
        ("x/list.parquet", "list", "table", Path("x/list.parquet")),
        ("x/s-{000..015}.tar", "s--000..015", "shards", "x/s-{000..015}.tar"),
        ("catalogs", "catalogs", "folder", Path("catalogs")),
        ("..", "data", "folder", Path("..")),
    ],
)
def test_what_kind_a_data_set_is(recipe: Recipe, text: str, name: str, kind: str, value: object) -> None:
    (data,) = changed(recipe, data=[text]).data
    assert data.name == name
    assert getattr(data, kind) == value


def test_the_synthetic_catalogue_is_data_too(recipe: Recipe) -> None:
    for text, listings in (("catalog", 1000), ("catalog:12", 12)):
        (data,) = changed(recipe, data=[text]).data
        assert data.catalog is not None
        assert data.catalog.listings == listings
    refused(recipe, "listings", data=["catalog:0"])
    refused(recipe, "same name", data=["a/train", "b/train"])


def test_freezing(recipe: Recipe) -> None:
    first, second = changed(recipe, freeze=["backbone*@0.5", "backbone.stem"]).freeze
    assert (first.modules, first.until) == (("backbone*",), 0.5)
    assert (second.modules, second.until) == (("backbone.stem",), 1.0)
    for text in ("a@", "a@x", "a@1e", "a@0.5@"):
        refused(recipe, "`freeze`", text, "MODULES@SHARE", freeze=[text])
    for text in ("a@2", "a@0", "a@-1", "a@nan"):
        refused(recipe, "until", freeze=[text])


def test_keys_replace_values_and_none_leaves_them(recipe: Recipe) -> None:
    spec = changed(recipe, keys={"batch": 8, "rate": None, "seed": 0})
    assert (spec.batch, spec.rate, spec.photos) == (8, 0.002, 1000)
    refused(recipe, "distill.batch", keys={"batch": -2})
    refused(recipe, "distill.batches", "extra", keys={"batches": 2})


def test_photos_and_epochs_replace_each_other(recipe: Recipe) -> None:
    spec = changed(recipe, keys={"epochs": 2.0, "photos": None})
    assert (spec.epochs, spec.photos) == (2.0, None)
    again = override(recipe, keys={"epochs": 2.0})
    spec = changed(again, keys={"photos": 64})
    assert (spec.epochs, spec.photos) == (None, 64)
    refused(recipe, "photos or epochs", settings=["distill.epochs=2"])


@pytest.mark.parametrize(
    ("setting", "where", "value"),
    [
        ("distill.rate=0.5", lambda r: r.distill.rate, 0.5),
        (" distill.rate = 5e-1 ", lambda r: r.distill.rate, 0.5),
        ("distill.augment=strong", lambda r: r.distill.augment, "strong"),
        ('distill.augment="strong"', lambda r: r.distill.augment, "strong"),
        ("distill.compile=true", lambda r: r.distill.compile, True),
        ("distill.matryoshka=[64, 128]", lambda r: r.distill.matryoshka, (64, 128)),
        ("distill.losses.cosine=0.25", lambda r: r.distill.losses.cosine, 0.25),
        ("distill.losses.tasks.kind=3", lambda r: r.distill.losses.tasks, {"kind": 3.0}),
        ("distill.losses={relational = 2}", lambda r: (r.distill.losses.relational, r.distill.losses.cosine), (2, 1)),
        ("distill.data.web.weight=3", lambda r: [d.weight for d in r.distill.data], [1, 3, 1]),
        ("distill.data.2.weight=3", lambda r: [d.weight for d in r.distill.data], [1, 1, 3]),
        ("distill.data.shop.labels.kind=other", lambda r: r.distill.data[0].labels, {"kind": "other"}),
        ("distill.teachers.1.weight=0", lambda r: [t.weight for t in r.distill.teachers], [2, 0]),
        ("distill.validation.retrieval.find.data.path=file", lambda r: validation(r).retrieval[0].data.path, "file"),
        ("distill.validation.every=0.5", lambda r: (validation(r).every, len(validation(r).retrieval)), (0.5, 1)),
        ("embedding.dim=32", lambda r: r.embedding.dim, 32),
        ("input.size=96", lambda r: r.input.size, (96, 96)),
        ("model.args.drop_rate=0.1", lambda r: r.model.args, {"drop_rate": 0.1}),
        ("name=other", lambda r: r.name, "other"),
    ],
)  # fmt: skip
def test_any_key_can_be_set(recipe: Recipe, setting: str, where: Any, value: object) -> None:
    assert where(override(recipe, settings=[setting])) == value


def test_later_settings_win_and_go_below_what_was_given_before(recipe: Recipe) -> None:
    spec = changed(
        recipe,
        data=["a.csv"],
        keys={"rate": 0.1},
        settings=["distill.rate=0.2", "distill.rate=0.3", "distill.data.a.listing=item"],
    )
    assert (spec.rate, spec.data[0].listing) == (0.3, "item")


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("distill.rate", ["`settings`", "KEY=VALUE"]),
        ("=3", ["`settings`", "KEY=VALUE"]),
        ("", ["`settings`", "KEY=VALUE"]),
        ("distill.rat=1", ["distill.rat", "extra"]),
        ("distil.rate=1", ["distil", "extra"]),
        ("distill.losses.cosinus=1", ["distill.losses.cosinus"]),
        ("distill.rate=fast", ["distill.rate", "number"]),
        ("distill.rate=", ["distill.rate"]),
        ("distill.rate=-1", ["distill.rate"]),
        ("distill.batch=3", ["even"]),
        ("distill.photos=1.5", ["distill.photos"]),
        ("distill.rate.more=1", ["distill.rate.more", "no such key"]),
        ("distill.rate.more.yet=1", ["no such key"]),
        ("distill.data.nobody.weight=1", ["'nobody'", "3 entries"]),
        ("distill.data.3.weight=1", ["'3'", "3 entries"]),
        ("distill.data.²=1", ["'²'", "3 entries"]),
        ("distill.data.web.folder=x", ["exactly one of"]),
        ("distill.data.web=1", ["distill.data.1"]),
        ("distill=1", ["distill"]),
        ("distill.rate=[1", ["distill.rate"]),
        ("distill.matryoshka=" + "[" * 5000, ["distill.matryoshka"]),
    ],
)
def test_what_cannot_be_set_is_one_line(recipe: Recipe, setting: str, parts: list[str]) -> None:
    refused(recipe, *parts, settings=[setting])


PARTS = st.sampled_from(["distill", "data", "losses", "0", "1", "7", "shop", "rate", "model", "args", "teachers", ""])
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=12)


@settings(max_examples=80, deadline=None)
@given(st.lists(PARTS | WORDS, max_size=4).map(".".join), st.sampled_from(["=", "==", ""]), WORDS)
def test_any_text_sets_something_or_is_one_line(key: str, equals: str, value: str) -> None:
    full = override(BARE, data=["shop", "b.csv"], teachers=["x.npy"])
    try:
        assert isinstance(override(full, settings=[key + equals + value]), Recipe)
    except UsageError as error:
        one_line(error)


@settings(max_examples=60, deadline=None)
@given(WORDS, WORDS, WORDS)
def test_any_text_is_data_a_teacher_and_modules_or_one_line(data: str, teacher: str, modules: str) -> None:
    try:
        spec = changed(BARE, data=[data], teachers=[teacher], freeze=[modules])
        assert len(spec.data) == len(spec.teachers) == len(spec.freeze) == 1
        assert os.sep not in spec.data[0].name
    except UsageError as error:
        one_line(error)
