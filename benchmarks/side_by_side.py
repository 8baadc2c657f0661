"""What the latency benchmarks share: the backbones, their seeded embedders, and runs timed turn by turn."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from edgekit.model.embedder import Embedder, build_embedder, calibrate_normalization
from edgekit.recipe import resolve_model

__all__ = ["BACKBONES", "Timing", "build", "clock", "image_of", "interleave", "pin"]

BACKBONES = (
    "vit_tiny_patch16_224",
    "vit_small_patch16_224",
    "mobilevit_s",
    "fastvit_t8",
    "starnet_s1",
    "efficientnet_b0",
    "efficientformer_l1",
    "efficientformerv2_s0",
    "mobilevitv2_100",
    "mobilenetv4_conv_small",
    "repvit_m1",
    "tiny_vit_5m_224",
)


@dataclass(frozen=True)
class Timing:
    """Median milliseconds of each run, and the quartiles of the second run over the first, round by round."""

    medians: list[float]
    low: float
    ratio: float
    high: float

    def figures(self) -> dict[str, float]:
        return {"ratio": self.ratio, "ratio_25": self.low, "ratio_75": self.high}


def pin(core: int) -> None:
    """Keep this process on one core and one thread."""
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)


def build(name: str) -> Embedder:
    """A recipe's model, or the backbone with seeded weights and its normalisation layers calibrated on coarse noise."""
    embedder = build_embedder(resolve_model(name))
    if embedder.origin != "seeded":
        return embedder
    height, width = embedder.spec.size
    images = np.random.default_rng(0).integers(0, 256, (8, height // 8, width // 8, 3), dtype=np.uint8)
    calibrate_normalization(embedder, images.repeat(8, axis=1).repeat(8, axis=2))
    return embedder


def image_of(embedder: Embedder) -> np.ndarray:
    """One uint8 [1,H,W,3] image of noise."""
    return np.random.default_rng(1).integers(0, 256, (1, *embedder.spec.size, 3), dtype=np.uint8)


def clock(run: Callable[[], Any]) -> float:
    """Milliseconds of CPU time, also in a runtime's own threads: what else the machine does is not counted."""
    started = time.process_time()
    run()
    return (time.process_time() - started) * 1e3


def interleave(runs: Sequence[Callable[[], Any]], rounds: int, warmup: int = 3) -> Timing:
    """Time `runs` turn by turn, forwards and backwards, so that drift and caches favour none."""
    times: list[list[float]] = []
    for turn in range(rounds + warmup):
        order = range(len(runs)) if turn % 2 == 0 else reversed(range(len(runs)))
        took = {index: clock(runs[index]) for index in order}
        if turn >= warmup:
            times.append([took[index] for index in range(len(runs))])
    low, ratio, high = statistics.quantiles([row[1] / row[0] for row in times], n=4)
    return Timing([statistics.median(column) for column in zip(*times, strict=True)], low, ratio, high)
