"""`edgekit distill`: how options change a recipe; tests/distillation has the runs."""

from __future__ import annotations

import tomllib

from tests.conftest import Invoke, one_line

STUDENT = ("distill", "test_vit", "--teacher", "catalog-s0", "--data", "catalog:8")


def test_the_recipe_is_printed_with_all_changes(invoke: Invoke) -> None:
    options = ("--photos", 64, "--batch", 8, "--rate", 0.5, "--precision", "bf16", "--workers", 0, "--seed", 3)
    more = ("--freeze", "backbone*@0.5", "--set", "distill.losses.cosine=0.5", "--dim", 16, "--print-recipe")
    result = invoke(*STUDENT, *options, *more)
    assert result.exit_code == 0, result.output
    recipe = tomllib.loads(result.stdout)
    table = recipe["distill"]
    assert recipe["embedding"]["dim"] == 16
    assert recipe["model"]["seed"] == table["seed"] == 3
    assert (table["photos"], table["batch"], table["rate"], table["precision"]) == (64, 8, 0.5, "bf16")
    assert table["teachers"] == [{"model": "catalog-s0"}]
    assert table["data"][0]["catalog"]["listings"] == 8
    assert table["freeze"] == [{"modules": ["backbone*"], "until": 0.5}]
    assert table["losses"]["cosine"] == 0.5


def test_an_ablation_needs_something_to_compare(invoke: Invoke) -> None:
    one_line(invoke(*STUDENT, "--photos", 64, "--ablate", "losses"), 2, "retrieval")
