"""Every precision has its own limits, and a recipe's go before them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edgekit.recipe.gates import Gates


def test_fewer_bits_have_wider_gates() -> None:
    limits = [Gates.for_precision(precision) for precision in ("fp32", "fp16", "int8", "int4")]
    assert [gates.min_cosine for gates in limits] == sorted((gates.min_cosine for gates in limits), reverse=True)
    assert Gates.for_precision("fp32") == Gates()
    assert Gates.for_precision("w8a8") == Gates.for_precision("fp16")


def test_a_recipe_s_own_limit_is_kept_and_one_that_cannot_be_meant_refused() -> None:
    assert Gates.for_precision("int8", min_cosine=0.5).min_cosine == 0.5
    for wrong in ({"min_cosine": 1.5}, {"max_recall_drop": float("nan")}, {"no_such_gate": 1.0}):
        with pytest.raises(ValidationError):
            Gates.for_precision("fp16", **wrong)
