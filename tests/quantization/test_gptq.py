from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit import graph
from edgekit.quantization.gptq import gptq, second_moments
from edgekit.quantization.layers import layers, weights
from edgekit.quantization.palettes import palette


class Convolved(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, bias=False, **options)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(image)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 1},
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": (3, 5), "padding": (1, 2), "dilation": 2},
        {"kernel_size": 3, "groups": 3},
        {"kernel_size": 3, "groups": 3, "stride": 2, "padding": 1},
    ],
)
def test_moments_say_how_large_a_convolution_s_output_is(options: dict[str, Any]) -> None:
    """The energy of what a channel gives is its weight's quadratic form in the moments of its inputs."""
    torch.manual_seed(0)
    module = Convolved(**options).eval()
    program = graph.capture(module, torch.rand(1, 3, 17, 15))
    images = np.random.default_rng(0).integers(0, 255, (3, 17, 15, 3), np.uint8)
    moments = second_moments(program, layers(program), images)["conv"].double()
    (weight,) = weights(program).values()
    rows = weight.reshape(len(moments), -1, moments.shape[1]).double()
    found = torch.einsum("gok,gkl,gol->go", rows, moments, rows).flatten()
    with torch.no_grad():
        made = module(torch.from_numpy(images).permute(0, 3, 1, 2).float())
    assert torch.allclose(found, made.double().pow(2).sum((0, 2, 3)), rtol=1e-4)


def test_rounding_that_makes_up_for_its_errors_keeps_the_layer_better() -> None:
    torch.manual_seed(0)
    weight = torch.randn(24, 64)
    inputs = torch.randn(500, 64) @ torch.randn(64, 64) + 2 * torch.randn(64)  # correlated, with a mean
    grid = palette(weight, 4)
    codes = gptq(weight, (inputs.T @ inputs)[None], grid)
    made_up = grid.table[codes.long()].float()
    nearest = grid.values(grid.codes(weight.flatten().double(), 0), 0).float().reshape(weight.shape)
    due = inputs @ weight.T
    errors = [(inputs @ other.T - due).pow(2).mean() for other in (made_up, nearest)]
    assert errors[0] < 0.7 * errors[1]
    shifts = [(inputs @ other.T - due).mean(0).abs().mean() for other in (made_up, nearest)]
    assert shifts[0] < 0.7 * shifts[1]


def test_inputs_that_are_always_zero_do_no_harm() -> None:
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    grid = palette(weight, 4)
    for moments in (torch.zeros(1, 6, 6), torch.diag(torch.tensor([1.0, 0, 0, 2, 0, 0]))[None]):
        found = grid.table[gptq(weight, moments, grid).long()]
        assert (found - weight).abs().max() < 0.5
