"""Calibration: what values the tensors of a program take on images, streamed, in two passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Interpreter, Node

from edgekit.errors import InputError, ModelError
from edgekit.quantize.observers import BINS

__all__ = ["Histogram", "calibrate", "pixels_of"]


@dataclass
class Histogram:
    """The values of one tensor: smallest, largest, and counts in equal bins between them."""

    low: float
    high: float
    counts: np.ndarray


class _Watcher(Interpreter):
    """Runs a program and shows every tensor to `see` as it is made."""

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
) -> dict[str, Histogram]:
    """Histograms of the tensors that the nodes called `tensors` make.

    Args:
        program: takes float32 [1,3,H,W] with values 0-255.
        images: gives uint8 [H,W,3] images, the same ones each time it is called; it is called twice.
        progress: told the number of passes over an image so far.

    Raises:
        InputError: there is no image.
        ModelError: a tensor is not finite on some image.
    """
    wanted = set(tensors)
    ranges: dict[str, tuple[float, float]] = {}

    def bounds(name: str, value: Tensor) -> None:
        if name in wanted:
            low, high = (float(bound) for bound in torch.aminmax(value))
            if not (np.isfinite(low) and np.isfinite(high)):
                raise ModelError(f"the tensor {name} is not finite on a calibration image: check the weights")
            before = ranges.get(name, (low, high))
            ranges[name] = min(before[0], low), max(before[1], high)

    done = _watch(program, images, bounds, progress, 0)
    if not done:
        raise InputError("no calibration images: give --images a folder with some, or leave it out")
    found = {name: Histogram(*ranges[name], np.zeros(BINS, np.int64)) for name in tensors}

    def count(name: str, value: Tensor) -> None:
        if name in wanted and found[name].high > found[name].low:
            histogram = torch.histc(value.float(), BINS, found[name].low, found[name].high)
            found[name].counts += histogram.numpy().astype(np.int64)

    _watch(program, images, count, progress, done)
    return found


def _watch(
    program: ExportedProgram,
    images: Callable[[], Iterable[np.ndarray]],
    see: Callable[[str, Tensor], None],
    progress: Callable[[int], None],
    done: int,
) -> int:
    watcher = _Watcher(program, see)
    with torch.no_grad():
        for image in images():
            watcher.run(pixels_of(image))
            done += 1
            progress(done)
    return done


def pixels_of(image: np.ndarray) -> Tensor:
    """An image uint8 [H,W,3] as the program takes it: float32 [1,3,H,W]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
