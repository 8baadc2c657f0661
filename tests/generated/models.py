"""The grammar: every kind of block, and sources drawn from it by a seed or by Hypothesis."""

from __future__ import annotations

from random import Random

from hypothesis import strategies

from tests.generated.grammar import Grammar
from tests.generated.habits import HABITS
from tests.generated.layers import LAYERS
from tests.generated.tokens import TOKENS

__all__ = ["GRAMMAR", "seeded", "sources"]

GRAMMAR = Grammar({**LAYERS, **TOKENS, **HABITS})


def seeded(seed: int) -> str:
    """The source of the model number `seed`."""
    return GRAMMAR.source(Random(seed))


def sources() -> strategies.SearchStrategy[str]:
    """Sources of models, which Hypothesis shrinks to fewer and simpler blocks."""
    return strategies.randoms(use_true_random=False).map(GRAMMAR.source)
