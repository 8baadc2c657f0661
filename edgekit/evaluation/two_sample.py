"""Whether two sets of embeddings come from one distribution: energy distance or MMD, by permutation.

The energy distance is the MMD of the kernel -|x - y| (Sejdinovic and others, "Equivalence of distance-based and
RKHS-based statistics in hypothesis testing", 2013), so both are one statistic of two kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.evaluation.libraries import library

__all__ = ["KERNELS", "TwoSample", "compare", "compare_shares"]

_CHUNK = 8_000_000  # values that are held at a time
_RARE = 5  # rows that are expected in a file, below which the test's distribution is not the assumed one


@dataclass(frozen=True, eq=False)
class TwoSample:
    """What a test found.

    `statistic` is unbiased: about 0 where nothing changed. `limit` is what a share `alpha` of tests exceeds without a
    change, `p` how often labels drawn by chance give as much. `apart` float64 [M] says of each row of the second set
    how much farther it lies from the first set than from its own: the witness function of Gretton and others, 2012.
    """

    statistic: float
    limit: float
    p: float
    apart: np.ndarray


def compare(
    first: np.ndarray, second: np.ndarray, kernel: str, permutations: int, alpha: float = 0.05, seed: int = 0
) -> TwoSample:
    """Compare embeddings [N,D] with [M,D], two of each at least, by a kernel of `KERNELS`; takes O((N+M)^2) memory."""
    distance = library("scipy.spatial.distance")
    pairs = distance.squareform(distance.pdist(np.concatenate([first, second]).astype(np.float64)))
    similarity = KERNELS[kernel](pairs)
    np.fill_diagonal(similarity, 0.0)
    count, rest = len(first), len(second)
    own = np.zeros(count + rest)
    own[:count] = 1.0
    statistic = float(_statistics(similarity, own[:, None], count)[0])
    rng, drawn = np.random.default_rng(seed), []
    step = max(1, _CHUNK // len(own))
    for start in range(0, permutations, step):
        labels = np.broadcast_to(own, (min(step, permutations - start), len(own)))
        drawn.append(_statistics(similarity, rng.permuted(labels, axis=1).T, count))
    chance = np.concatenate(drawn)
    rounding = 1e-12 * float(np.abs(similarity).max(initial=0.0))
    p = (1 + int(np.count_nonzero(chance >= statistic - rounding))) / (permutations + 1)
    theirs = similarity[count:]
    apart = theirs[:, count:].sum(axis=1) / (rest - 1) - theirs[:, :count].mean(axis=1)
    return TwoSample(statistic, float(np.quantile(chance, 1 - alpha)), p, apart)


def compare_shares(first: Sequence[str], second: Sequence[str], alpha: float = 0.05) -> TwoSample | None:
    """Whether two samples have the same shares of each text: Pearson's chi-squared test, for which rare texts are put
    together. None where fewer than two texts are left.
    """
    stats = library("scipy.stats")
    texts = sorted({*first, *second})
    counts = np.array([[list(side).count(text) for text in texts] for side in (first, second)], np.float64)
    expected = counts.sum(axis=0) * min(len(first), len(second)) / (len(first) + len(second))
    rare = expected < _RARE
    if rare.any():
        counts = np.concatenate([counts[:, ~rare], counts[:, rare].sum(axis=1, keepdims=True)], axis=1)
    if counts.shape[1] < 2:
        return None
    done = stats.chi2_contingency(counts, correction=False)
    limit = float(stats.chi2.ppf(1 - alpha, done.dof))
    return TwoSample(float(done.statistic), limit, float(done.pvalue), np.zeros(0))


def _statistics(similarity: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """The unbiased squared MMD of each column of `labels` [N+M,P], 1 for the `count` rows of the first set."""
    rest = len(labels) - count
    within = np.einsum("np,np->p", labels, similarity @ labels)
    rows = similarity.sum(axis=1)
    across = rows @ labels - within
    others = rows.sum() - within - 2 * across
    return np.asarray(
        within / (count * (count - 1)) + others / (rest * (rest - 1)) - 2 * across / (count * rest), np.float64
    )


def _energy(distances: np.ndarray) -> np.ndarray:
    return -distances


def _gaussian(distances: np.ndarray) -> np.ndarray:
    """Of the width of the median distance, or 1 where that is 0."""
    width = float(np.median(distances[np.triu_indices(len(distances), 1)])) or 1.0
    return np.asarray(np.exp(-((distances / width) ** 2) / 2))


KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"energy": _energy, "mmd": _gaussian}
