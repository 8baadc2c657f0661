"""Bias correction: a layer in 8 bits keeps the mean of what it gives, channel by channel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgekit.quantization.calibrate import calibrate, pixels_of
from edgekit.quantization.layers import layers, weights
from edgekit.quantization.shifts import averaged, shifts
from edgekit.quantization.simulate import Simulator
from edgekit.quantization.weights import round_weight
from tests.quantization import kinds


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
