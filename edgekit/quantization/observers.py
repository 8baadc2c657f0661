"""Observers: from the histogram of a tensor to the range that its 256 levels shall span.

Each takes the counts of `BINS` equal bins between the tensor's smallest and largest value, and gives (low, high).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["BINS", "LEVELS", "OBSERVERS", "Observer", "entropy", "margin", "minmax", "mse", "percentile"]

BINS = 2048
LEVELS = 256
_TAIL = 1e-4  # share of the values that `percentile` gives up, both ends together
_STEPS = 64
_MARGIN = 1.5

Observer = Callable[[np.ndarray, float, float], tuple[float, float]]


def minmax(counts: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Every value seen fits."""
    return low, high


def margin(counts: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Every value seen fits, and half as much again: for tensors that other images drive further."""
    return _MARGIN * low, _MARGIN * high


def percentile(counts: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """All but one value in 10,000 fit."""
    share = np.cumsum(counts) / max(counts.sum(), 1)
    width = (high - low) / len(counts)
    first = int(np.searchsorted(share, _TAIL / 2, side="right"))
    last = int(np.searchsorted(share, 1 - _TAIL / 2, side="left"))
    return low + first * width, low + (last + 1) * width


def mse(counts: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The shrunken range with the least squared error, rounding inside and clipping outside together."""
    return _best(counts, low, high, _squared_error)


def entropy(counts: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The shrunken range whose quantized distribution is nearest in Kullback-Leibler divergence.

    The idea is from S. Migacz, "8-bit inference with TensorRT", 2017; here for ranges that need not be symmetric.
    """
    return _best(counts, low, high, _divergence)


def _best(
    counts: np.ndarray, low: float, high: float, damage: Callable[[np.ndarray, np.ndarray, float, float], float]
) -> tuple[float, float]:
    """The least damage among ranges that shrink both ends in proportion; the whole range wins a tie."""
    centres = low + (np.arange(len(counts)) + 0.5) * (high - low) / len(counts)
    weights = counts / max(counts.sum(), 1)
    best, least = (low, high), np.inf
    for step in range(_STEPS, _STEPS // 8, -1):
        share = step / _STEPS
        now = damage(weights, centres, low * share, high * share)
        if now < least * (1 - 1e-6):
            best, least = (low * share, high * share), now
    return best


def _squared_error(weights: np.ndarray, centres: np.ndarray, low: float, high: float) -> float:
    low, high = min(low, 0.0), max(high, 0.0)
    inside = (centres >= low) & (centres <= high)
    outside = centres - np.clip(centres, low, high)
    rounding = ((high - low) / (LEVELS - 1)) ** 2 / 12
    return float((weights * outside**2).sum() + weights[inside].sum() * rounding)


def _divergence(weights: np.ndarray, centres: np.ndarray, low: float, high: float) -> float:
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, 1e-30) / (LEVELS - 1)
    level = np.clip(np.rint((centres - low) / scale), 0, LEVELS - 1).astype(np.int64)
    total = np.bincount(level, weights, LEVELS)
    used = np.bincount(level, weights > 0, LEVELS)
    seen = weights > 0
    spread = total[level[seen]] / used[level[seen]]
    clipped = weights[(centres < low) | (centres > high)].sum()
    return float((weights[seen] * np.log(weights[seen] / spread)).sum() + clipped)


OBSERVERS: dict[str, Observer] = {row.__name__: row for row in (minmax, margin, percentile, mse, entropy)}
