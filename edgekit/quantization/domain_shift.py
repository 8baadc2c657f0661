"""Whether images drive a model's tensors further than the calibration images did: a sign of another domain."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from torch.export import ExportedProgram

from edgekit.quantization.calibrate import bounds
from edgekit.quantization.layers import layers, static_tensors
from edgekit.quantization.plan import Plan

__all__ = ["domain_shift"]

_FAR = 0.1  # share of the calibrated range by which a tensor goes beyond it
_MANY = 0.2  # share of the tensors


def domain_shift(program: ExportedProgram, plan: Plan, images: Iterable[np.ndarray]) -> str | None:
    """One line with figures where uint8 [H,W,3] `images` go far beyond what the plan's ranges were taken from.

    Args:
        program: the prepared program that the plan is for.
    """
    wanted = static_tensors(program, {layer.name for layer in layers(program)})
    ranges = bounds(program, [node for name, node in wanted.items() if name in plan.tensors], images)
    beyond = {}
    for name, tensor in plan.tensors.items():
        if wanted.get(name) in ranges:
            (low, high), (least, most) = tensor.seen, ranges[wanted[name]]
            beyond[name] = max(most - high, low - least, 0.0) / max(high - low, 1e-30)
    far = [name for name, share in beyond.items() if share > _FAR]
    if len(far) <= _MANY * len(beyond):
        return None
    worst = max(beyond, key=lambda name: beyond[name])
    return (
        f"these images are not like the calibration images: {len(far)} of {len(beyond)} tensors go more than "
        f"{_FAR:.0%} beyond their ranges, {worst} by {beyond[worst]:.0%}; calibrate on photographs like these"
    )
