"""The normalisation of images whose zeros an operator of its own puts around them, as TensorFlow's models do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgekit import graph


class Padded(nn.Module):
    """Normalised, padded more at one side, convolved."""

    mean: Tensor

    def __init__(self, mean: tuple[float, ...], padding: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(1, 3, 1, 1))
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=padding)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(nn.functional.pad((image - self.mean) / 60.0, [0, 1, 0, 1])).flatten(1)


@pytest.mark.parametrize(
    ("mean", "padding", "left"),
    [
        ((127.5, 127.5, 127.5), 0, {"pad", "conv2d"}),
        ((127.5, 127.5, 127.5), 1, {"sub", "pad", "conv2d"}),
        ((124.0, 116.0, 104.0), 0, {"sub", "pad", "conv2d"}),
    ],
)
def test_borders_stay_right_and_pixels_whole_where_they_can(
    mean: tuple[float, ...], padding: int, left: set[str]
) -> None:
    torch.manual_seed(0)
    module, image = Padded(mean, padding).eval(), 255 * torch.rand(1, 3, 15, 18)
    program, counts = graph.prepare(graph.capture(module, image))
    assert counts["fold_normalization"] == 1
    made = {str(node.target).split(".")[1] for node in program.graph.nodes if node.op == "call_function"}
    assert made - {"reshape", "view", "flatten"} == left
    with torch.no_grad():
        assert torch.allclose(program.module()(image), module(image), atol=1e-4)
