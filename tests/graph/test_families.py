"""Operators that whole families of backbones use and some target lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.graph import capture, rewrite
from edgekit.targets.base import LowerOptions
from edgekit.targets.coreml import backend as coreml

aten = torch.ops.aten


class Resize(nn.Module):
    def __init__(self, size: tuple[int, int], corners: bool) -> None:
        super().__init__()
        self.size, self.corners = size, corners

    def forward(self, image: Tensor) -> Tensor:
        return F.interpolate(image, size=self.size, mode="bicubic", align_corners=self.corners)


class Shrunk(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return F.normalize(F.softshrink(image, 0.2).mean(dim=(2, 3)), dim=1)


@pytest.mark.parametrize("size", [(40, 56), (17, 9)])
@pytest.mark.parametrize("corners", [True, False])
def test_a_bicubic_resize_is_two_products_for_core_ml(size: tuple[int, int], corners: bool) -> None:
    module, image = Resize(size, corners).eval(), torch.rand(1, 3, 32, 24)
    new, counts = rewrite(capture(module, image), "coreml")
    assert counts["resize_rows_columns"] == 1
    assert not {aten.upsample_bicubic2d.vec, aten.upsample_bicubic2d.default} & {n.target for n in new.graph.nodes}
    torch.testing.assert_close(new.module()(image), module(image), rtol=1e-5, atol=1e-5)


def test_core_ml_takes_an_op_that_torch_can_decompose(tmp_path: Path) -> None:
    program, _ = rewrite(capture(Shrunk().eval(), torch.rand(1, 3, 16, 16)), "coreml")
    assert aten.softshrink.default in {node.target for node in program.graph.nodes}
    path = tmp_path / "shrunk.mlpackage"
    coreml.lower(program, path, LowerOptions(precision="fp32"))
    assert coreml.open_reference(path).input_size == (16, 16)
