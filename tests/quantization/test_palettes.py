from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from edgekit.quantization.palettes import palette, steps


@pytest.fixture
def weight() -> Tensor:
    return torch.randn(32, 48, generator=torch.Generator().manual_seed(0)) * 0.05


@pytest.mark.parametrize("bits", [4, 6])
def test_a_palette_is_nearer_than_even_steps_between_the_extremes(weight: Tensor, bits: int) -> None:
    grid = palette(weight, bits)
    assert len(grid.table) == 2**bits
    assert torch.equal(grid.table, grid.table.half().double())
    found = grid.values(grid.codes(weight.flatten().double(), 0), 0)
    even = torch.linspace(float(weight.min()), float(weight.max()), 2**bits).double()
    spread = (weight.flatten().double()[:, None] - even).abs().amin(1)
    assert (found - weight.flatten()).pow(2).mean() < 0.9 * spread.pow(2).mean()


@given(st.lists(st.floats(-100, 100, width=16), min_size=1, max_size=60))
def test_every_value_gets_the_nearest_entry(values: list[float]) -> None:
    weight = torch.tensor(values)[None]
    grid = palette(weight, 4)
    assert (grid.table[1:] >= grid.table[:-1]).all()
    column = weight[0].double()
    found = (grid.values(grid.codes(column, 0), 0) - column).abs()
    assert torch.allclose(found, (column[:, None] - grid.table).abs().amin(1))


def test_few_values_are_kept_as_they_are() -> None:
    weight = torch.tensor([-0.5, 0.0, 0.25, 1.0]).repeat(50)[None]
    grid = palette(weight, 4)
    assert torch.equal(grid.values(grid.codes(weight[0].double(), 0), 0).float(), weight[0])


def test_the_same_weight_gives_the_same_palette(weight: Tensor) -> None:
    assert torch.equal(palette(weight, 4).table, palette(weight.clone(), 4).table)


@given(st.integers(1, 80), st.sampled_from([(), (1, 1), (3, 3)]))
def test_steps_are_within_half_a_step_whatever_the_channels(channels: int, kernel: tuple[int, ...]) -> None:
    weight = torch.randn(5, channels, *kernel, generator=torch.Generator().manual_seed(channels))
    grid = steps(weight)
    assert channels % grid.scales.shape[1] == 0
    assert channels // grid.scales.shape[1] <= 32
    flat = weight.reshape(5, -1).double()
    for index in range(flat.shape[1]):
        codes = grid.codes(flat[:, index], index)
        assert codes.min() >= 0
        assert codes.max() <= 15
        half = grid.scales[:, index // grid.per_block] * 0.51
        assert ((grid.values(codes, index) - flat[:, index]).abs() <= half).all()


def test_a_weight_of_zeros_stays_zero() -> None:
    grid = steps(torch.zeros(4, 8))
    assert not grid.values(grid.codes(torch.zeros(4).double(), 0), 0).any()
