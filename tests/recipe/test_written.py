"""A recipe that is written as TOML and read again is equal, whatever is in it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import UsageError
from edgekit.recipe import Recipe, load_recipe
from edgekit.recipe.gates import Gates
from edgekit.recipe.recipe import GatesSpec, Metadata
from edgekit.recipe.training import CatalogData, DataSpec, DistillSpec, TeacherSpec
from edgekit.recipe.written import tables_of, to_toml

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"', "\\", "a\nb", "\x00\x1f\x7f\x85", "\U0001f45f", "'''", '"""', "{{ 1 }}", "# no comment", "\\u0041"]
)
_VALUE = st.recursive(
    st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT
    | st.dates() | st.times() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
_SHARE = st.floats(1e-12, 1)
_GATES = st.builds(Gates, min_cosine=_SHARE, min_spread=_SHARE, max_norm_error=st.floats(0, 1e3))
_DISTILL = st.builds(
    DistillSpec,
    teachers=st.lists(st.builds(TeacherSpec, model=_TEXT, weight=_SHARE, license=st.none() | _TEXT), max_size=2),
    data=st.lists(
        st.builds(DataSpec, name=st.from_regex(r"[a-z]{3}", fullmatch=True), catalog=st.builds(CatalogData)),
        max_size=2,
        unique_by=lambda data: data.name,
    ),
    rate=st.sampled_from([1e-07, 1e-3, 5e22]),
    epochs=st.none() | _SHARE,
)
_RECIPES = st.builds(
    Recipe,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    model=st.fixed_dictionaries(
        {"backbone": _TEXT},
        optional={
            "args": st.dictionaries(_TEXT, _VALUE, max_size=4),
            "weights_key": _TEXT,
            "pretrained": st.booleans(),
            "seed": st.integers(0, 2**63),
            "output": _TEXT,
            "pool": st.sampled_from(["avg", "cls", "max"]),
        },
    ),
    input=st.fixed_dictionaries(
        {},
        optional={
            "size": st.sampled_from([(224, 224), (64, 96)]),
            "crop_pct": _SHARE,
            "mean": st.tuples(_SHARE, _SHARE, _SHARE),
        },
    ),
    embedding=st.fixed_dictionaries({}, optional={"dim": st.integers(1, 65536)}),
    gates=st.builds(GatesSpec, fp32=_GATES, fp16=_GATES | st.just(Gates()), int4=st.just(Gates.for_precision("int4"))),
    release=st.fixed_dictionaries(
        {}, optional={"max_mb": _SHARE, "listings": st.integers(1, 2**62), "max_median_ms": st.just({"onnx": 1e-07})}
    ),
    metadata=st.builds(Metadata, author=_TEXT, license=_TEXT, version=_TEXT, description=_TEXT),
    distill=st.none() | _DISTILL,
)  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(_RECIPES)
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> None:
    path = tmp_path_factory.getbasetemp() / "written.toml"
    path.write_text(to_toml(tables_of(recipe)), encoding="utf-8", newline="")
    assert load_recipe(path) == recipe
    assert load_recipe(path).input.model_fields_set == recipe.input.model_fields_set


def recipe(**model: Any) -> Recipe:
    return Recipe.model_validate({"name": "a", "model": {"backbone": "resnet18", **model}})


def test_a_limit_that_is_another_precision_s_default_is_kept() -> None:
    strict = recipe().model_copy(update={"gates": GatesSpec(fp16=Gates.for_precision("fp32"))})
    assert tables_of(strict)["gates"]["fp16"]["min_cosine"] == Gates.for_precision("fp32").min_cosine
    assert "gates" not in tables_of(recipe())


def test_numbers_that_only_toml_has_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(to_toml(tables_of(recipe(args={"low": -math.inf, "none": math.nan}))))
    args = load_recipe(path).model.args
    assert args["low"] == -math.inf and math.isnan(args["none"])


@pytest.mark.parametrize("value", [None, {1, 2}, object(), "\ud800"], ids=["none", "set", "object", "half a character"])
def test_what_toml_has_not_is_one_line(value: object) -> None:
    with pytest.raises(UsageError, match="cannot be written as TOML") as caught:
        to_toml(tables_of(recipe(args={"a": value})))
    assert "\n" not in str(caught.value)
