"""Toy models and states that the tests of weights share."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.blocks = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))


class Embedder(nn.Module):
    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.projection = nn.Linear(4, dim) if dim else None
        self.dim = dim or 4


def seeded(module: M, seed: int = 1) -> M:
    """The module with every weight random."""
    generator = torch.Generator().manual_seed(seed)
    for value in module.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.randn(value.shape, generator=generator))
    return module


def small_state() -> dict[str, Tensor]:
    """Three tensors, one of them an integer."""
    generator = torch.Generator().manual_seed(0)
    return {
        "stem.weight": torch.randn(4, 3, 3, 3, generator=generator),
        "norm.num_batches_tracked": torch.tensor(7),
        "out.bias": torch.randn(5, generator=generator),
    }


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether both have the same names and values."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
