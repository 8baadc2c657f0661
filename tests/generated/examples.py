"""Sources that once came out wrong, were refused, or cost a rewrite: the lines of the block, by what they show."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from tests.generated.grammar import Block, Grammar

__all__ = ["EXAMPLES", "Example"]


class Example(NamedTuple):
    """A block that a drawn model had, and what was found of it."""

    found: str
    block: Block

    def source(self) -> str:
        """The smallest model with this block."""
        return Grammar({"example": lambda _random, _shape: self.block}).source(Random(0), ("example",))


def _example(found: str, *forward: str, init: tuple[str, ...] = ()) -> Example:
    return Example(found, Block(init, forward))


EXAMPLES: tuple[Example, ...] = (
    _example(
        "contiguous() of a permuted map is a copy only if the map was not permuted already",
        "y = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)",
        "z = y[:, 1:3]",
        "y.mul_(2)",
        "return x + y + z.mean(1, keepdim=True)",
    ),
    _example(
        "ExecuTorch: one kernel for a convolution and a transposed one",
        "return F.conv_transpose2d(self.one(x), self.one.weight)",
        init=("self.one = nn.Conv2d(24, 24, 3)",),
    ),
    _example("Core ML: a pool whose stride is its window, unsaid", "return F.max_pool2d(x, 2) + F.avg_pool2d(x, 2)"),
)
