"""What samples of latency say: percentiles, drift, outliers, and whether two sets of them differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.bench.schema import Latency

__all__ = ["DRIFT", "FEWEST", "Ratio", "drift", "ratio_of", "summarize", "summarize_told"]

DRIFT = 0.10  # share by which the last tenth may be slower than the first
FEWEST = 20  # samples that can be compared
_FAR = 5.0  # scaled median deviations
_SCALE = 1.4826  # of a normal distribution's median deviation
_RESAMPLES = 1000
_BLOCK = 20  # neighbouring samples that are drawn together; fewer where they are more than a tenth of all
_MOST = 20_000  # samples that an interval rests on, evenly drawn from more
_CHUNK = 2_000_000  # values that are held at a time
_LEVEL = 0.95
_LEAST = 1e-12  # milliseconds that are divided by


def summarize(latency: Latency) -> Latency:
    """The same latency with all that follows from its samples; null where there are too few of them."""
    samples = np.asarray(latency.samples, np.float64)
    if not len(samples):
        return latency
    tenth = max(1, len(samples) // 10)
    middle = float(np.median(samples))
    deviation = _SCALE * float(np.median(np.abs(samples - middle)))
    found = {f"p{level}": float(np.percentile(samples, level)) for level in (50, 90, 95, 99)}
    found |= {"min": samples.min(), "max": samples.max(), "mean": samples.mean(), "std": samples.std()}
    found |= {"first_decile_p50": np.median(samples[:tenth]), "last_decile_p50": np.median(samples[-tenth:])}
    outliers = int((samples > middle + _FAR * deviation).sum())
    return latency.model_copy(
        update={**{key: round(float(value), 6) for key, value in found.items()}, "outliers": outliers}
    )


def summarize_told(told: Latency) -> Latency:
    """The summary of what a device measured; the figures that it gives of its own samples are not taken over."""
    measured = ("cold_load", "warm_load", "compile", "first", "samples")
    return summarize(Latency(**{name: getattr(told, name) for name in measured}))


def drift(latency: Latency) -> float | None:
    """By what share the last tenth of the samples is slower than the first; None where that is not known."""
    first, last = latency.first_decile_p50, latency.last_decile_p50
    return last / first - 1 if first and last else None


@dataclass(frozen=True)
class Ratio:
    """How some samples stand to others, as one quotient with a 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def shows_difference(self) -> bool:
        """Whether 1 is outside the interval."""
        return not self.low <= 1 <= self.high


def ratio_of(new: Sequence[float], base: Sequence[float], *, paired: bool = False, seed: int = 0) -> Ratio:
    """p50 of `new` over p50 of `base`, with an interval from a circular block bootstrap (Politis and Romano, 1992):
    samples that follow each other share the machine's state, and single draws would make the interval too narrow.

    Where the two took turns it is the p50 of the rounds' own quotients instead: what slowed a round slowed both of its
    samples, while two medians of a run that is slow half of the time may come from different halves.

    Args:
        new: milliseconds, in the order in which they were taken.
        base: the same of what it is compared with.
        paired: the two took turns, sample by sample.
        seed: of the resampling; the same samples always give the same interval.

    Raises:
        ValueError: there are no samples, or not as many of each where they are paired.
    """
    if not len(new) or not len(base) or (paired and len(new) != len(base)):
        raise ValueError("no samples to compare")
    # An odd stride: turns go forwards and backwards, and photos come round after an even number of them.
    over, under = (np.asarray(samples, np.float64)[:: 1 + len(samples) // _MOST | 1] for samples in (new, base))
    if paired:
        over, under = over / np.maximum(under, _LEAST), np.ones(1)
    value = float(np.median(over) / max(np.median(under), _LEAST))
    drawn = _medians(over, seed) / np.maximum(_medians(under, seed + 1), _LEAST)
    tail = 100 * (1 - _LEVEL) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Ratio(value, min(float(low), value), max(float(high), value))


def _medians(samples: np.ndarray, seed: int) -> np.ndarray:
    """Medians [resamples] of blocks of samples drawn again."""
    rng = np.random.default_rng(seed)
    count = len(samples)
    block = max(1, min(max(_BLOCK, count // 25), count // 10))
    starts = rng.integers(0, count, (_RESAMPLES, -(-count // block)))
    out = [
        np.median(samples[((some[:, :, None] + np.arange(block)).reshape(len(some), -1)[:, :count]) % count], axis=1)
        for some in np.array_split(starts, max(1, _RESAMPLES * count // _CHUNK))
    ]
    return np.concatenate(out)
