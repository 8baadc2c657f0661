"""How sure figures are: intervals by bootstrap, differences by permutation, corrected where there are many of them.

What was drawn by chance is a unit: a listing with its photos, or a row that belongs to none. Photos of one listing are
alike, so units are drawn again and exchanged as a whole; single rows would make every interval too narrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.evaluation.libraries import library

__all__ = ["Gap", "coded", "corrected", "drawn_means", "ends", "gaps", "interval", "paired_p", "summed", "units_of"]

_CHUNK = 4_000_000  # values that are held at a time
_LEVEL = 0.95
_ROUNDING = 1e-9  # means that differ by less are equal: sums of the same values in another order are
_PHOTOS = 8  # of a listing, at most, on average; a label with more rows is a class, whose rows are drawn one by one


@dataclass(frozen=True)
class Gap:
    """How far the mean of a segment's queries lies below that of all queries (negative: above).

    `p` is one-sided: how often a segment of as many units drawn by chance lies as far below, or further.
    """

    queries: int
    mean: float
    gap: float
    low: float
    high: float
    p: float


def units_of(labels: Sequence[str] | None, count: int) -> np.ndarray:
    """The unit of each of `count` rows, int64: rows with one label are one, where a label has at most eight rows on
    average; otherwise, and where a label is empty or there is none, each row is a unit.
    """
    if labels is None or len(set(labels)) * _PHOTOS < count:
        return np.arange(count)
    named = [label or f"\0{row}" for row, label in enumerate(labels)]  # no text of a file begins so and is shown
    return coded(named)[1]


def coded(texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The different texts in order, and the number of each row's, int64 [N].

    As an array of texts each row would take as much as the longest one.
    """
    names = sorted(set(texts))
    numbers = {text: number for number, text in enumerate(names)}
    return names, np.fromiter((numbers[text] for text in texts), np.int64, len(texts))


def interval(values: np.ndarray, units: np.ndarray, resamples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the 95 % percentile interval of the means [M] of values [Q,M], by bootstrap over `units` int64 [Q].

    Both are the mean where there are fewer than two units.
    """
    sums, counts = summed(values, units)
    if len(sums) < 2:
        mean = values.mean(axis=0)
        return mean, mean
    drawn = np.concatenate(list(drawn_means(sums, counts, resamples, seed)))
    return ends(drawn)


def paired_p(differences: np.ndarray, units: np.ndarray, resamples: int, seed: int = 0) -> np.ndarray:
    """Two-sided p-values [M] of paired differences [Q,M] having mean 0, by exchanging the models unit by unit.

    Fisher's randomization test: the sign of a unit's difference is chance where both models serve it alike (Smucker,
    Allan and Carterette, "A comparison of statistical significance tests for information retrieval evaluation", 2007).
    """
    sums, _ = summed(differences, units)
    rng = np.random.default_rng(seed)
    observed = np.abs(sums.sum(axis=0)) - _ROUNDING
    as_far = np.zeros(sums.shape[1], np.int64)
    for count in _chunks(resamples, len(sums)):
        signs = rng.integers(0, 2, (count, len(sums)), dtype=np.int8) * 2.0 - 1.0
        as_far += (np.abs(signs @ sums) >= observed).sum(axis=0)
    return np.asarray((as_far + 1) / (resamples + 1))


def gaps(values: np.ndarray, segment: np.ndarray, units: np.ndarray, resamples: int, seed: int = 0) -> dict[int, Gap]:
    """The gap of each segment to the average of all queries, by its number; values float [Q], the others int64 [Q].

    A unit that is in several segments counts in each as one of its own, which makes the test a cautious one.
    """
    cells = np.unique(np.stack([segment, units], axis=1), axis=0, return_inverse=True)
    sums, counts = summed(values[:, None], cells[1].reshape(-1))
    numbers, starts = np.unique(cells[0][:, 0], return_index=True)
    queries = np.add.reduceat(counts, starts)
    means = np.add.reduceat(sums[:, 0], starts) / queries
    rng = np.random.default_rng(seed)
    as_low = np.zeros(len(numbers), np.int64)
    for count in _chunks(resamples, len(sums)):
        order = rng.permuted(np.broadcast_to(np.arange(len(sums)), (count, len(sums))), axis=1)
        drawn = np.add.reduceat(sums[order, 0], starts, axis=1) / np.add.reduceat(counts[order], starts, axis=1)
        as_low += (drawn <= means + _ROUNDING).sum(axis=0)
    p = (as_low + 1) / (resamples + 1)
    found = {}
    for place, number in enumerate(numbers):
        inside = cells[0][:, 0] == number
        low, high = _gap_interval(sums, counts, inside, resamples, seed)
        gap = float(values.mean() - means[place])
        found[int(number)] = Gap(int(queries[place]), float(means[place]), gap, low, high, float(p[place]))
    return found


def corrected(p: Sequence[float], method: str) -> list[float]:
    """p-values corrected for being many, by a method of statsmodels: `holm` or `fdr_bh` (Benjamini and Hochberg)."""
    if not p:
        return []
    values = library("statsmodels.stats.multitest").multipletests(p, method=method)[1]
    return [float(value) for value in values]


def _gap_interval(
    sums: np.ndarray, counts: np.ndarray, inside: np.ndarray, resamples: int, seed: int
) -> tuple[float, float]:
    """Units of the segment and of the others are drawn again, each among themselves."""
    if inside.all():
        return 0.0, 0.0
    if min(inside.sum(), (~inside).sum()) < 2:  # nothing to draw from: the interval would have no width
        return float("-inf"), float("inf")
    own, others = (
        np.concatenate(list(drawn_means(sums[some], counts[some], resamples, seed + number)))
        for number, some in enumerate((inside, ~inside))
    )
    low, high = ends((others - own) * (counts[~inside].sum() / counts.sum()))
    return float(low[0]), float(high[0])


def summed(values: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sum [U,M] and the count [U] of each unit's rows."""
    _, at, counts = np.unique(units, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, at, values)
    return sums, counts


def drawn_means(sums: np.ndarray, counts: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Means [resamples,M] of units with sums [U,M] and counts [U] that are drawn again, some at a time."""
    rng, units = np.random.default_rng(seed), len(sums)
    for count in _chunks(resamples, units):
        chosen = rng.integers(0, units, (count, units)) + units * np.arange(count)[:, None]
        drawn = np.bincount(chosen.reshape(-1), minlength=count * units).reshape(count, units).astype(np.float64)
        yield (drawn @ sums) / (drawn @ counts)[:, None]


def ends(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends [M] of the 95 % percentile interval of what was drawn [resamples,M]."""
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    return low, high


def _chunks(resamples: int, count: int) -> list[int]:
    step = max(1, _CHUNK // max(1, count))
    return [min(step, resamples - done) for done in range(0, resamples, step)]
