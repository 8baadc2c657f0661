"""What samples of latency say: percentiles, drift, outliers, and whether two sets of them differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["DRIFT", "FEWEST", "Ratio", "Samples", "drift_of", "ratio_of", "summary_of"]

Samples = Sequence[float] | np.ndarray  # milliseconds [N]
DRIFT = 0.10  # share by which the last tenth may be slower than the first
FEWEST = 20  # samples that can be compared
_FAR = 5.0  # scaled median deviations
_SCALE = 1.4826  # of a normal distribution's median deviation
_RESAMPLES = 1000
_BLOCK = 20  # neighbouring samples that are drawn together; fewer where they are more than a tenth of all
_MOST = 20_000  # samples that an interval rests on, evenly drawn from more
_CHUNK = 2_000_000  # values that are held at a time
_LEVEL = 0.95
_LEAST = 1e-12  # milliseconds; what is divided by is never less


def summary_of(samples: Samples) -> dict[str, float]:
    """Minimum, maximum, mean, standard deviation, percentiles, the medians of the first and the last tenth, and the
    number of outliers, which lie beyond the median by five scaled median deviations.

    Args:
        samples: milliseconds, at least one, in the order in which they were taken.

    Raises:
        ValueError: there are no samples.
    """
    if not len(samples):
        raise ValueError("no samples to summarize")
    values = np.asarray(samples, np.float64)
    tenth = max(1, len(values) // 10)
    middle = float(np.median(values))
    deviation = _SCALE * float(np.median(np.abs(values - middle)))
    summary = {f"p{level}": np.percentile(values, level) for level in (50, 90, 95, 99)}
    summary |= {"min": values.min(), "max": values.max(), "mean": values.mean(), "std": values.std()}
    summary |= {"first_decile_p50": np.median(values[:tenth]), "last_decile_p50": np.median(values[-tenth:])}
    outliers = int((values > middle + _FAR * deviation).sum())
    return {**{name: round(float(value), 6) for name, value in summary.items()}, "outliers": outliers}


def drift_of(first: float | None, last: float | None) -> float | None:
    """By what share `last` is more than `first`, the medians of a run's ends; None where one is not known or 0."""
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


def ratio_of(new: Samples, base: Samples, *, paired: bool = False, seed: int = 0) -> Ratio:
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
