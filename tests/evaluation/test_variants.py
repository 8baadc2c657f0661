"""Variants of one family."""

from __future__ import annotations

import pytest

from edgekit.errors import UsageError
from edgekit.evaluation.variants import is_seeded, swept
from edgekit.recipe import resolve_model


def test_each_size_is_a_variant_with_the_same_weights() -> None:
    recipe = resolve_model("catalog-s0")
    small, large = swept([recipe], {"size": ["160", "192", "160"]})
    assert (small.name, small.input.size) == ("catalog-s0-160", (160, 160))
    assert (large.name, large.input.size) == ("catalog-s0-192", (192, 192))
    assert small.model == recipe.model
    assert not is_seeded(small)


def test_each_width_is_another_model_of_timm_with_random_weights() -> None:
    found = swept([resolve_model("catalog-s0")], {"width": ["efficientformerv2_s1"], "size": ["160"]})
    assert [(one.name, one.model.backbone) for one in found] == [
        ("catalog-s0-efficientformerv2_s1-160", "efficientformerv2_s1")
    ]
    assert is_seeded(found[0])
    assert found[0].embedding.dim == 256


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"depth": ["2"]}, "has no 'depth'; give one of size, width"),
        ({"size": []}, "size has no values"),
        ({"size": ["large"]}, "size is 'large'; give pixels from 8 to 4096"),
        ({"size": ["²"]}, "size is '²'"),
        ({"size": ["99999999999"]}, "give pixels from 8 to 4096"),
        ({"size": [str(size) for size in range(100, 200)]}, "makes 100 variants; at most 64"),
        ({"width": ["efficientformerv2_s9"]}, "did you mean efficientformerv2_s"),
        ({"width": ["catalog-b0"]}, "width takes names of timm models"),
        ({"width": ["tests.toys:tower"]}, "width takes names of timm models"),
    ],
)
def test_a_sweep_that_cannot_be_meant_is_one_line(sweep: dict[str, list[str]], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        swept([resolve_model("catalog-s0")], sweep)
    assert words in str(caught.value)


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="two models are called catalog-s0"):
        swept([resolve_model("catalog-s0")] * 2, {})
