from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgekit import graph
from edgekit.errors import InputError, ModelError
from edgekit.quantization import read_plan
from edgekit.quantization.calibrate import bounds, calibrate, domain_shift, pixels_of
from edgekit.quantization.layers import layers
from edgekit.quantization.observers import BINS
from tests.quantization import kinds


def test_a_histogram_counts_every_value_of_every_image() -> None:
    module = kinds.between("conv")
    program, images = kinds.prepared(module), list(kinds.images(4))
    first = layers(program)[0].node
    counts: list[int] = []
    seen = calibrate(program, [first.name], lambda: images, counts.append, averaged=[first.name])
    conv = module.get_submodule("first")
    with torch.no_grad():
        values = torch.cat([conv(pixels_of(image) / 255) for image in images])
    histogram = seen.histograms[first.name]
    assert (histogram.low, histogram.high) == pytest.approx((float(values.min()), float(values.max())), rel=1e-4)
    assert len(histogram.counts) == BINS
    assert histogram.counts.sum() == pytest.approx(values.numel(), abs=2)  # the ends may fall to rounding
    assert torch.allclose(seen.means[first.name], values.mean(0, keepdim=True), atol=1e-4)
    assert counts == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_range_of_pixels_is_the_smallest_and_largest() -> None:
    program = kinds.prepared(kinds.between("conv"))
    images = np.full((2, kinds.SIZE, kinds.SIZE, 3), 7, np.uint8)
    images[1, 0, 0, 0] = 200
    assert bounds(program, ["image"], images) == {"image": (7.0, 200.0)}


def test_no_image_is_an_error_that_names_the_field() -> None:
    program = kinds.prepared(kinds.between("conv"))
    with pytest.raises(InputError, match="no calibration images") as caught:
        calibrate(program, ["image"], list)
    assert caught.value.field == "images"


class Reciprocal(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return (1 / image).mean((2, 3))


def test_a_tensor_that_is_not_finite_is_named() -> None:
    program = graph.capture(Reciprocal(), torch.ones(1, 3, 4, 4))
    node = next(node for node in program.graph.nodes if node.op == "call_function")
    with pytest.raises(ModelError, match=f"the tensor {node.name} is not finite"):
        bounds(program, [node.name], np.zeros((1, 4, 4, 3), np.uint8))


def test_only_images_that_go_far_beyond_the_ranges_are_told(
    program: ExportedProgram, plans: dict[str, Path], images: np.ndarray
) -> None:
    plan = read_plan(plans["w8a8"])
    assert domain_shift(program, plan, images[:8]) is None
    noise = 255 * np.random.default_rng(0).integers(0, 2, (4, 64, 64, 3), np.uint8)
    warning = domain_shift(program, plan, noise)
    assert warning is not None
    assert "beyond their ranges" in warning
    assert domain_shift(program, read_plan(plans["w8"]), noise) is None  # it has no ranges
