"""Slices that part a tensor become one split; those with gaps, or that overlap, stay."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgekit.graph import capture, rewrite

aten = torch.ops.aten


class Sliced(nn.Module):
    def __init__(self, *bounds: tuple[int, int], step: int = 1) -> None:
        super().__init__()
        self.bounds, self.step = bounds, step

    def forward(self, x: Tensor) -> Tensor:
        wide = x.sigmoid()
        return torch.cat([wide[:, start : end : self.step].mean(1, keepdim=True) for start, end in self.bounds], 1)


def fired(module: nn.Module) -> int:
    x = torch.randn(1, 9, 4)
    new, counts = rewrite(capture(module.eval(), x), "coreai")
    torch.testing.assert_close(new.module()(x), module(x))
    splits = [node.target for node in new.graph.nodes].count(aten.split_with_sizes.default)
    assert splits == counts["join_slices"]
    return splits


@pytest.mark.parametrize("bounds", [((0, 4), (4, 9)), ((5, 9), (0, 2), (2, 5)), ((0, -3), (-3, 9))])
def test_slices_without_gaps_are_one_split(bounds: tuple[tuple[int, int], ...]) -> None:
    assert fired(Sliced(*bounds)) == 1


@pytest.mark.parametrize("bounds", [((0, 4), (5, 9)), ((0, 5), (4, 9)), ((0, 4), (4, 8)), ((1, 4), (4, 9))])
def test_slices_with_gaps_or_overlaps_stay(bounds: tuple[tuple[int, int], ...]) -> None:
    assert fired(Sliced(*bounds)) == 0


def test_slices_with_steps_stay() -> None:
    assert fired(Sliced((0, 4), (4, 9), step=2)) == 0
