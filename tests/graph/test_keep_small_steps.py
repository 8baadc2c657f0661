"""A number next to 0 or 1 stays in the ONNX file, whatever onnxscript's optimizer takes it for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.graph import capture, rewrite
from edgekit.targets import LowerOptions
from edgekit.targets.onnx import backend as onnx

_STEPS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "added": lambda _, x: torch.log(x.relu() + 1e-10),
    "a buffer": lambda self, x: torch.log(x.relu() + self.get_buffer("eps")),
    "subtracted": lambda _, x: -torch.log(-(-x.relu() - 1e-9)),
    "added to a number without axes": lambda _, x: (x - x.mean()) / (x.flatten().std() * 0 + 1e-8),
    "times": lambda _, x: (x * 1.000009 - x) * 1e5,
    "over": lambda _, x: (x / 1.000009 - x) * 1e5,
}


class Small(nn.Module):
    def __init__(self, steps: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.steps = steps
        self.register_buffer("eps", torch.tensor(1e-8))

    def forward(self, image: Tensor) -> Tensor:
        return self.steps(self, image / 255 - 0.5).flatten(1)


@pytest.mark.parametrize("name", _STEPS)
def test_the_file_computes_what_the_module_does(name: str, tmp_path: Path) -> None:
    module, image = Small(_STEPS[name]).eval(), torch.rand(1, 3, 8, 8) * 255
    program, counts = rewrite(capture(module, image), "onnx")
    assert counts["keep_small_steps"] == 1
    path = tmp_path / "small.onnx"
    onnx.lower(program, path, LowerOptions(precision="fp32"))
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    with torch.no_grad():
        wanted = [module(torch.from_numpy(one[None]).permute(0, 3, 1, 2).float())[0].numpy() for one in images]
    np.testing.assert_allclose(onnx.open(path).embed(images), np.stack(wanted), rtol=0.02, atol=1e-3)
