"""What a model computes in float64 of its image is computed in float32; what it computes of constants stays exact."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.graph import capture, rewrite

_STEPS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda x: x.double().mean((2, 3)).float(),
    "convolution": lambda x: F.conv2d(x.double(), torch.ones(4, 3, 3, 3, dtype=torch.float64)).float(),
    "gelu": lambda x: F.gelu(x.to(torch.float64)).to(x.dtype),
    "resize": lambda x: F.interpolate(x.double(), scale_factor=2, mode="bilinear").float(),
    "a constant in float64": lambda x: (x * torch.linspace(0, 1, 8, dtype=torch.float64)).float(),
    "parts": lambda x: torch.cat(x.double().chunk(3, 1)[::-1], 1).type_as(x),
    "softmax": lambda x: x.flatten(2).softmax(-1, dtype=torch.float64).float(),
    "the result": lambda x: x.double().mean((2, 3)),
}


class Doubles(nn.Module):
    def __init__(self, steps: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.stem, self.steps = nn.Conv2d(3, 3, 1), steps

    def forward(self, image: Tensor) -> Tensor:
        return self.steps(self.stem(image)).flatten(1)


@pytest.mark.parametrize("target", ["coreml", "executorch", "onnx"])
@pytest.mark.parametrize("name", _STEPS)
def test_nothing_of_the_image_is_left_in_float64(name: str, target: str) -> None:
    module, image = Doubles(_STEPS[name]).eval(), torch.randn(1, 3, 8, 8)
    program, _ = rewrite(capture(module, image), target)
    made = [node for node in program.graph.nodes if node.op == "call_function"]
    wide = [node for node in made if getattr(node.meta.get("val"), "dtype", None) is torch.float64]
    assert wide == (made[-1:] if name == "the result" else [])
    with torch.no_grad():
        torch.testing.assert_close(program.module()(image), module(image), rtol=1e-5, atol=1e-5)


def test_angles_of_constants_keep_the_precision_of_float64() -> None:
    def turned(x: Tensor) -> Tensor:
        angles = torch.arange(8, dtype=torch.float64) * 1e7
        return x * angles.cos().float()

    module, image = Doubles(turned).eval(), torch.randn(1, 3, 8, 8)
    program, _ = rewrite(capture(module, image), "onnx")
    with torch.no_grad():
        torch.testing.assert_close(program.module()(image), module(image), rtol=1e-6, atol=1e-6)
