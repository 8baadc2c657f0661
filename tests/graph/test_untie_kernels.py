"""One kernel of two convolutions stays one where they arrange it alike, and is copied where they do not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.graph import capture, rewrite, run_program


class Tied(nn.Module):
    """One kernel, read by a convolution and by what `kind` says."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.weight = nn.Parameter(torch.randn(3, 3, 3, 3, generator=torch.Generator().manual_seed(0)))

    def forward(self, image: Tensor) -> Tensor:
        first = F.conv2d(image, self.weight)
        if self.kind == "transposed":
            return F.conv_transpose2d(first, self.weight)
        if self.kind == "number":
            return first * self.weight.mean()
        return F.conv2d(first, self.weight, stride=2)


@pytest.mark.parametrize(("kind", "copies"), [("transposed", 1), ("number", 0), ("convolution", 0)])
def test_a_kernel_is_copied_for_each_kind_of_convolution(kind: str, copies: int) -> None:
    module, image = Tied(kind).eval(), torch.rand(1, 3, 16, 16)
    new, counts = rewrite(capture(module, image), "executorch")
    assert counts["untie_kernels"] == copies
    torch.testing.assert_close(run_program(new, image), module(image))
