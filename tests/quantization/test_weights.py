from __future__ import annotations

import torch

from edgekit.quantization.weights import round_weight


def test_each_channel_is_on_255_levels_of_its_own() -> None:
    weight = (
        torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0))
        * torch.logspace(-3, 2, 6)[:, None, None, None]
    )
    rounded = round_weight(weight)
    scale = weight.flatten(1).abs().amax(1) / 127
    assert ((rounded - weight).flatten(1).abs().amax(1) <= 0.501 * scale).all()
    steps = rounded.flatten(1) / scale[:, None]
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert torch.allclose(round_weight(rounded), rounded, rtol=1e-5)


def test_a_channel_of_zeros_stays_zero() -> None:
    weight = torch.zeros(2, 3)
    weight[0] = 1.0
    assert torch.equal(round_weight(weight), weight)
