from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgekit.errors import ModelError
from edgekit.graph.capture import capture


class Masked(nn.Module):
    """Takes the places of a map that a constant mask names: over one dimension or over two."""

    mask: Tensor

    def __init__(self, mask: Tensor, *, writes: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.writes = writes
        self.register_buffer("mask", mask)

    def forward(self, image: Tensor) -> Tensor:
        found = self.conv(image)
        if self.writes:
            self.mask[..., 0] = False
        return (found if self.mask.ndim == 2 else found.flatten(2))[:, :, self.mask].mean(2)


@pytest.mark.parametrize("shape", [(16,), (4, 4)])
@pytest.mark.parametrize("dynamic_batch", [False, True])
def test_a_constant_mask_is_an_index_of_known_size(shape: tuple[int, ...], dynamic_batch: bool) -> None:
    model = Masked((torch.arange(16) % 3 == 0).reshape(shape)).eval()
    images = torch.rand(3 if dynamic_batch else 1, 3, 4, 4)
    program = capture(model, torch.ones(1, 3, 4, 4), dynamic_batch=dynamic_batch)
    assert torch.allclose(program.module()(images), model(images), atol=1e-6)
    assert all(
        value.dtype is not torch.bool
        for node in program.graph.nodes
        if node.target is torch.ops.aten.index.Tensor
        for value in (item.meta["val"] for item in node.all_input_nodes)
    )


def test_a_mask_that_forward_writes_to_is_not_taken_as_it_was() -> None:
    with pytest.raises(ModelError, match="boolean index"):
        capture(Masked(torch.arange(16) % 3 == 0, writes=True).eval(), torch.ones(1, 3, 4, 4))
