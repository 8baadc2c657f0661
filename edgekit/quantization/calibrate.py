"""Calibration: what values a program's tensors take on images, streamed, in two passes; and whether others fit them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Interpreter, Node

from edgekit.errors import InputError, ModelError
from edgekit.quantization.layers import layers, static_tensors
from edgekit.quantization.observers import BINS
from edgekit.quantization.plan import Plan

__all__ = ["Histogram", "Seen", "bounds", "calibrate", "domain_shift", "pixels_of", "watch"]

_FAR = 0.1  # share of the calibrated range by which a tensor goes beyond it
_MANY = 0.2  # share of the tensors


@dataclass
class Histogram:
    """The values of one tensor: smallest, largest, counts in equal bins between them; whether they are pixels."""

    low: float
    high: float
    counts: np.ndarray
    pixels: bool = False


@dataclass
class Seen:
    """What images made of the tensors of a program, by the name of the node that makes each."""

    histograms: dict[str, Histogram]
    means: dict[str, Tensor]  # over the images, in the tensor's own shape


class _Watcher(Interpreter):
    def __init__(self, program: ExportedProgram, see: Callable[[str, Tensor], None]) -> None:
        super().__init__(program.module())
        self._see = see

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        if n.op in ("placeholder", "call_function") and isinstance(value, Tensor):
            self._see(n.name, value)
        return value


def calibrate(
    program: ExportedProgram,
    tensors: Sequence[str],
    images: Callable[[], Iterable[np.ndarray]],
    progress: Callable[[int], None] = lambda done: None,
    *,
    averaged: Collection[str] = (),
) -> Seen:
    """Histograms of the tensors that the nodes called `tensors` make, and means of those that `averaged` name.

    Args:
        program: takes float32 [1,3,H,W] with values 0-255.
        images: gives uint8 [H,W,3] images, the same ones each time it is called; it is called twice.
        progress: called with the number of passes over an image so far.

    Raises:
        InputError: there is no image.
        ModelError: a tensor is not finite on some image.
    """
    seen = 0

    def counted(done: int) -> None:
        nonlocal seen
        seen = done
        progress(done)

    ranges = bounds(program, tensors, images(), counted)
    if not seen:
        raise InputError("no calibration images: give `images` a folder with some, or leave it out", field="images")
    histograms = {name: Histogram(*ranges[name], np.zeros(BINS, np.int64)) for name in tensors}
    sums: dict[str, Tensor] = {}

    def count(name: str, value: Tensor) -> None:
        own = histograms.get(name)
        if own is not None and own.high > own.low:
            own.counts += torch.histc(value.float(), BINS, own.low, own.high).numpy().astype(np.int64)
        if name in averaged:
            sums[name] = value.float().clone() if name not in sums else sums[name].add_(value)

    watch(program, images(), count, lambda done: progress(seen + done))
    return Seen(histograms, {name: value / seen for name, value in sums.items()})


def bounds(
    program: ExportedProgram,
    tensors: Sequence[str],
    images: Iterable[np.ndarray],
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, tuple[float, float]]:
    """Smallest and largest value on `images` of each tensor, by the name of the node that makes it.

    Raises:
        ModelError: a tensor is not finite on some image.
    """
    wanted = set(tensors)
    ranges: dict[str, tuple[float, float]] = {}

    def widen(name: str, value: Tensor) -> None:
        if name in wanted:
            low, high = (float(bound) for bound in torch.aminmax(value))
            if not (np.isfinite(low) and np.isfinite(high)):
                raise ModelError(f"the tensor {name} is not finite on a calibration image: check the weights")
            least, most = ranges.get(name, (low, high))
            ranges[name] = min(least, low), max(most, high)

    watch(program, images, widen, progress)
    return ranges


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


def watch(
    program: ExportedProgram,
    images: Iterable[np.ndarray],
    see: Callable[[str, Tensor], None],
    progress: Callable[[int], None],
) -> None:
    """Run the program on uint8 [H,W,3] `images` and show `see` every tensor as it is made, by its node's name."""
    watcher = _Watcher(program, see)
    with torch.no_grad():
        for done, image in enumerate(images, 1):
            watcher.run(pixels_of(image))
            progress(done)


def pixels_of(image: np.ndarray) -> Tensor:
    """An image uint8 [H,W,3] as the program takes it: float32 [1,3,H,W]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
