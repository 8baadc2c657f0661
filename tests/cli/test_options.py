"""Options that commands share: what they take, and how they are called."""

from __future__ import annotations

import click
import pytest

from edgekit.cli.options import PERCENT, Finite, recipe_of
from edgekit.errors import UsageError
from edgekit.pipeline import ExportRequest
from edgekit.quantization import QuantizeRequest
from edgekit.recipe.selection import ModelOptions
from edgekit.recipe.training import DistillSpec
from tests.cli.test_groups import PAGES

PARAMETERS = {words: {param.name for param in command.params} for words, command in PAGES.items()}


def test_parameters_are_called_as_the_fields_that_they_set() -> None:
    fields = set(ExportRequest.__dataclass_fields__)
    assert fields - PARAMETERS["edgekit export"] == {"recipe"}
    assert set(QuantizeRequest.__dataclass_fields__) - PARAMETERS["edgekit quantize"] == {"recipe"}
    assert {"photos", "epochs", "batch", "rate", "precision", "workers", "freeze", "plan", "teachers", "data"} <= (
        set(DistillSpec.model_fields) & PARAMETERS["edgekit distill"]
    )
    for command in ("export", "quantize", "distill", "parity"):
        assert set(ModelOptions.__annotations__) <= PARAMETERS[f"edgekit {command}"]
    for command in ("run", "golden make", "golden check"):
        assert "allow_bare" in PARAMETERS[f"edgekit {command}"]


@pytest.mark.parametrize(("typed", "share"), [("5%", 0.05), ("0.05", 0.05), ("0", 0.0), ("100%", 1.0), ("250%", 2.5)])
def test_a_share_is_written_in_two_ways(typed: str, share: float) -> None:
    assert PERCENT.convert(typed, None, None) == pytest.approx(share)


@pytest.mark.parametrize("typed", ["5", "-1%", "nan", "inf%", "1001%", "five", ""])
def test_what_is_no_share_is_refused(typed: str) -> None:
    with pytest.raises(click.BadParameter, match=r"5% or 0\.05"):
        PERCENT.convert(typed, None, None)


@pytest.mark.parametrize("typed", ["nan", "inf", "-1", "2"])
def test_numbers_are_finite_and_in_range(typed: str) -> None:
    assert Finite(0, 1).convert("0.5", None, None) == 0.5
    with pytest.raises(click.BadParameter):
        Finite(0, 1).convert(typed, None, None)


def test_a_recipe_takes_the_options_of_the_model_out_of_the_others() -> None:
    given = dict.fromkeys(ModelOptions.__annotations__) | {"dim": 16, "size": 64, "seed": 0}
    options = {"model": "tests.toys:tower", "out": "there", **given}
    recipe = recipe_of(options)
    assert options == {"out": "there"}
    assert (recipe.embedding.dim, recipe.input.size, recipe.model.seed) == (16, (64, 64), 0)
    with pytest.raises(UsageError, match="`weights` and `pretrained`"):
        recipe_of({"model": None, **given, "weights": "w.pt", "pretrained": True})
