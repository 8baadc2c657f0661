from __future__ import annotations

from pathlib import Path

import numpy as np
from torch.export import ExportedProgram

from edgekit.quantization import read_plan
from edgekit.quantization.domain_shift import domain_shift


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
