"""Weights in 8 bits a channel; with bias correction a layer keeps the mean of what it gives, channel by channel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgekit.quantization.calibrate import calibrate, pixels_of
from edgekit.quantization.layers import layers, weights
from edgekit.quantization.simulate import Simulator
from edgekit.quantization.weights import averaged, round_weight, shifts
from tests.quantization import kinds


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


@pytest.mark.parametrize("kind", ["padded depthwise", "grouped", "strided", "linear 3"])
def test_the_mean_of_each_channel_is_what_it_was(kind: str) -> None:
    """On the images that it was taken from, up to the last bits."""
    program = kinds.prepared(kinds.between(kind))
    images = list(kinds.images())
    (tried,) = [layer for layer in layers(program) if layer.name.startswith("tried") and layer.weight is not None]
    seen = calibrate(program, [tried.node.name], lambda: images, averaged=averaged([tried])).means
    shift = torch.from_numpy(shifts(program, [tried], seen)[tried.name])
    weight = weights(program)[tried.name]
    rounded = round_weight(weight)
    simulator = Simulator(program, {})
    lost, made = torch.zeros(len(weight)), torch.zeros(len(weight))
    for image in images:
        simulator.hold(pixels_of(image))
        taken = next(value for node, value in simulator._env.items() if node.name == tried.node.all_input_nodes[0].name)
        assert callable(tried.node.target)
        for used, total in ((weight, made), (rounded, lost)):
            given = tried.node.target(taken, used, None, *tried.node.args[3:])
            total += (given if kind == "linear 3" else given.movedim(1, -1)).reshape(-1, len(weight)).mean(0)
    gap, left = (made - lost) / len(images), (made - lost) / len(images) - shift
    assert gap.abs().max() > 1e-4
    assert left.abs().max() < 1e-2 * gap.abs().max()


def test_a_layer_without_a_bias_of_its_own_has_none() -> None:
    for kind in ("no bias", "shared"):
        program = kinds.prepared(kinds.between(kind))
        found = [layer for layer in layers(program) if layer.name.startswith("tried")]
        assert averaged(found) == set()
        assert shifts(program, found, {}) == {}


def test_what_is_added_is_in_every_form_of_8_bits_and_in_no_other() -> None:
    program = kinds.prepared(kinds.between("depthwise"))
    (tried,) = [layer for layer in layers(program) if layer.name.startswith("tried")]
    image = pixels_of(kinds.images(1)[0])
    plain = Simulator(program, {})
    moved = Simulator(program, {}, shifts={tried.name: np.full(kinds.WIDTH, 0.5, np.float32)})
    assert torch.equal(plain.embed(image, {}), moved.embed(image, {}))
    assert not torch.allclose(plain.embed(image, {tried.name: "w8"}), moved.embed(image, {tried.name: "w8"}), atol=1e-3)
