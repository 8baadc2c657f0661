from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgekit import graph
from edgekit.quantization.constants import encode_constants, large_constants


class Placed(nn.Module):
    """A convolution, and values of places that are added to what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 7, padding=3)
        self.places = nn.Parameter(torch.randn(1, 64, 8, 8, generator=torch.Generator().manual_seed(0)))
        self.few = nn.Parameter(torch.ones(64, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return (self.conv(image) * self.few + self.places).mean((2, 3))


@pytest.fixture(scope="module")
def placed() -> ExportedProgram:
    return graph.prepare(graph.capture(Placed().eval(), torch.rand(1, 3, 8, 8)))[0]


def test_only_large_constants_that_are_no_weight_are_named(placed: ExportedProgram) -> None:
    (name,) = large_constants(placed)
    assert "places" in name


def test_they_are_on_256_values_that_are_near(placed: ExportedProgram) -> None:
    (name,) = large_constants(placed)
    levels = encode_constants(placed, [name])[name]
    assert levels.codes.shape == (1, 64, 8, 8)
    assert levels.bits == 8
    assert len(np.unique(levels.values())) <= 256
    due = {**placed.constants, **placed.state_dict}[name].detach().numpy()
    assert np.abs(levels.values() - due).mean() < 0.01


def test_a_constant_that_the_program_does_not_have_is_named(placed: ExportedProgram) -> None:
    with pytest.raises(KeyError, match="elsewhere"):
        encode_constants(placed, ["elsewhere"])
