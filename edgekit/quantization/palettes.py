"""Levels for a weight: a palette chosen by k-means, or even steps, block by block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgekit.graph.levels import CENTER

__all__ = ["Palette", "Steps", "palette", "steps"]

_ROUNDS = 40  # of Lloyd's algorithm; more change nothing that an embedding shows
_BLOCK = 32  # the most input channels that share a scale
_SMALLEST = 2.0**-24  # that half precision has


@dataclass(frozen=True)
class Palette:
    """One table for a whole weight, ascending: float64 [entries]."""

    table: Tensor

    def codes(self, column: Tensor, index: int) -> Tensor:
        """The nearest code, int64 [O], to each of column `index` [O] of a weight [O,K]."""
        return torch.searchsorted((self.table[1:] + self.table[:-1]) / 2, column.contiguous())

    def values(self, codes: Tensor, index: int) -> Tensor:
        """What the codes of that column stand for, [O]."""
        return self.table[codes]

    def stored(self) -> dict[str, np.ndarray]:
        """What `Levels` keeps of it."""
        return {"table": self.table.float().numpy()}


@dataclass(frozen=True)
class Steps:
    """Sixteen even steps, a scale for each row and block of input channels: float64 [O,blocks].

    `per_block` is how many columns of the weight [O,K] share a scale.
    """

    scales: Tensor
    per_block: int

    def codes(self, column: Tensor, index: int) -> Tensor:
        """The nearest code, int64 [O], to each of column `index` [O] of a weight [O,K]."""
        steps = torch.round(column / self.scales[:, index // self.per_block])
        return (steps + CENTER).clamp(0, 2 * CENTER - 1).long()

    def values(self, codes: Tensor, index: int) -> Tensor:
        """What the codes of that column stand for, [O]."""
        return (codes - CENTER) * self.scales[:, index // self.per_block]

    def stored(self) -> dict[str, np.ndarray]:
        """What `Levels` keeps of it."""
        return {"scales": self.scales.float().numpy()}


def palette(weight: Tensor, bits: int) -> Palette:
    """The 2**bits values that stand for `weight` best: one-dimensional k-means (Lloyd, 1982).

    It starts from quantiles of the cube root of the density, which is where many levels would lie (Panter and Dite,
    1951); the same weight always gives the same palette.
    """
    values = weight.flatten().double().sort().values
    zero = values.new_zeros(1)
    total = torch.cat([zero, values.cumsum(0)])
    table = _spaced(values, 2**bits)
    for _ in range(_ROUNDS):
        inner = torch.searchsorted(values, (table[1:] + table[:-1]) / 2)
        edges = torch.cat([inner.new_zeros(1), inner, inner.new_full((1,), len(values))])
        held = edges[1:] - edges[:-1]
        moved = (total[edges[1:]] - total[edges[:-1]]) / held.clamp_min(1)
        table = torch.where(held > 0, moved, table).sort().values
    return Palette(table.half().double())


def steps(weight: Tensor) -> Steps:
    """Even steps up to the largest value of each row and block of `weight` [O,I,...]."""
    rows, channels = weight.shape[:2]
    size = max(size for size in range(1, min(_BLOCK, channels) + 1) if channels % size == 0)
    largest = weight.reshape(rows, channels // size, -1).abs().amax(2).double()
    scales = (largest / (CENTER - 1)).half().double().clamp_min(_SMALLEST)
    return Steps(scales, size * (weight[0, 0].numel()))


def _spaced(values: Tensor, entries: int) -> Tensor:
    """`entries` starting points for sorted `values`."""
    bins = 256
    low, high = values[0], values[-1]
    if high <= low:
        return values.new_full((entries,), float(low))
    share = torch.histc(values, bins).pow(1 / 3).cumsum(0)
    wanted = (torch.arange(entries, dtype=values.dtype) + 0.5) / entries * share[-1]
    return low + (high - low) * (torch.searchsorted(share, wanted) + 0.5) / bins
