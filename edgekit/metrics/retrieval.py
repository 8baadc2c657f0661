"""Figures that compare two sets of embeddings: plain functions on float32 [N,D] arrays, one row an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "Recall",
    "Spread",
    "blocks",
    "cosine",
    "max_abs_error",
    "nearest",
    "neighbour_overlap",
    "norm_error",
    "off_curve",
    "ranks",
    "recall",
    "spread",
    "standard_error",
    "unit_rows",
]

TIE = 1e-6  # similarities closer than this are a tie: float32 dot products of unit vectors differ by about 1e-7
_BLOCK = 1 << 23  # similarities held at once: 32 MiB of float32


@dataclass(frozen=True)
class Recall:
    """Share of queries with a relevant image among their k nearest: `at[k]` from 0 to 1, over `queries` queries.

    Queries that have no relevant image in the gallery are left out and not counted.
    """

    at: dict[int, float]
    queries: int


@dataclass(frozen=True)
class Spread:
    """How far embeddings lie apart.

    `distance` is 1 minus the mean cosine between two different images (0: all the same), `dimensions` the
    participation ratio of the variance about the mean, (sum of eigenvalues)^2 / (sum of squared eigenvalues)
    of the covariance: 1 where all images lie on one line, at most min(N-1, D). Both are 0 for fewer than two images.
    """

    distance: float
    dimensions: float


def cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cosine of each row with the row of the same index; float64 [N]. A zero row has cosine 0 with everything."""
    a, b = left.astype(np.float64), right.astype(np.float64)
    scale = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    dots = np.einsum("nd,nd->n", a, b)
    return np.clip(np.divide(dots, scale, out=np.zeros_like(dots), where=scale > 0), -1.0, 1.0)


def max_abs_error(left: np.ndarray, right: np.ndarray) -> float:
    """The largest absolute difference of two values at the same place; 0 for no rows."""
    return float(np.max(np.abs(left.astype(np.float64) - right), initial=0.0))


def norm_error(embeddings: np.ndarray) -> float:
    """The largest distance of a row's length from 1; 0 for no rows."""
    return float(np.max(np.abs(np.linalg.norm(embeddings.astype(np.float64), axis=1) - 1.0), initial=0.0))


def spread(embeddings: np.ndarray) -> Spread:
    """How far the rows (scaled to unit length) lie apart, in O(N D^2)."""
    count = len(embeddings)
    if count < 2:
        return Spread(0.0, 0.0)
    centred = unit_rows(embeddings).astype(np.float64)
    centred -= centred.mean(axis=0)
    # For unit rows, the mean of |x_i - x_j|^2 / 2 over different pairs is n/(n-1) times the mean squared deviation.
    distance = float(np.sum(centred**2)) / (count - 1)
    small = centred @ centred.T if count < centred.shape[1] else centred.T @ centred
    squared = float(np.sum(small**2))
    return Spread(distance, float(np.trace(small)) ** 2 / squared if squared > 0 else 0.0)


def off_curve(embeddings: np.ndarray) -> float:
    """The spread of the rows (scaled to unit length) that their place along their main direction does not explain.

    What remains of `Spread.distance` beside a cubic curve in that coordinate: 0 where one number says all that an
    embedding says of its image. Needs more than four rows.
    """
    centred = unit_rows(embeddings).astype(np.float64)
    centred -= centred.mean(axis=0)
    place = np.linalg.svd(centred, full_matrices=False)[0][:, 0] * np.sqrt(len(centred))
    basis = np.linalg.qr(np.vander(place, 4))[0]
    rest = centred - basis @ (basis.T @ centred)
    return float(np.sum(rest**2)) / (len(centred) - 4)


def neighbour_overlap(left: np.ndarray, right: np.ndarray, k: int) -> float:
    """Mean share of each image's k nearest other images in `left` that are also its k nearest in `right`.

    Each side searches its own space. Needs k < N; ties go to the lower index.
    """
    a, b = unit_rows(left), unit_rows(right)
    shared = 0
    for start, stop in blocks(len(a), len(a)):
        rows = np.arange(start, stop)
        near = [_nearest(side[start:stop] @ side.T, rows, k) for side in (a, b)]
        shared += int(np.count_nonzero(near[0] & near[1]))
    return shared / (len(a) * k)


def nearest(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row's most similar other row the index, int64 [N], and the cosine, float32 [N]. Needs two rows."""
    rows = unit_rows(embeddings)
    indices, scores = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.float32)
    for start, stop in blocks(len(rows), len(rows)):
        near = rows[start:stop] @ rows.T
        near[np.arange(stop - start), np.arange(start, stop)] = -np.inf
        indices[start:stop], scores[start:stop] = near.argmax(axis=1), near.max(axis=1)
    return indices, scores


def ranks(
    query: np.ndarray, gallery: np.ndarray, query_labels: Sequence, gallery_labels: Sequence, *, exclude_self: bool
) -> np.ndarray:
    """Rank (1 is best) of each query's first relevant gallery row, by cosine; int64 [N], 0 where none is relevant.

    Relevant is an equal label. With `exclude_self`, gallery row i is not there for query i. A tie counts against
    the query: every irrelevant row within 1e-6 of the best relevant one stands before it, so the order of the
    gallery does not matter and embeddings that are all alike find nothing. Holds 8 million similarities at a time.
    """
    q, g = unit_rows(query), unit_rows(gallery)
    _, codes = np.unique(np.asarray([*query_labels, *gallery_labels]), return_inverse=True)
    q_codes, g_codes = codes[: len(q)], codes[len(q) :]
    first = np.zeros(len(q), dtype=np.int64)
    for start, stop in blocks(len(q), len(g)):
        scores = q[start:stop] @ g.T
        scores[np.isnan(scores)] = -np.inf  # what is not a number resembles nothing, so it stands behind everything
        relevant = q_codes[start:stop, None] == g_codes[None, :]
        if exclude_self:
            own = np.arange(start, stop)
            relevant[own - start, own] = False
            scores[own - start, own] = -np.inf
        best = np.max(scores, axis=1, where=relevant, initial=-np.inf)
        before = np.count_nonzero((scores >= best[:, None] - TIE) & ~relevant, axis=1)
        first[start:stop] = np.where(relevant.any(axis=1), before + 1, 0)
    return first


def recall(
    query: np.ndarray,
    gallery: np.ndarray,
    query_labels: Sequence,
    gallery_labels: Sequence,
    *,
    exclude_self: bool,
    at: Sequence[int] = (1, 10),
) -> Recall:
    """Recall at each k of `at`, with the ranks of `ranks`; every figure is 0 where no query has a relevant image."""
    first = ranks(query, gallery, query_labels, gallery_labels, exclude_self=exclude_self)
    first = first[first > 0]
    return Recall({k: float(np.mean(first <= k)) if len(first) else 0.0 for k in at}, len(first))


def standard_error(share: float, count: int) -> float:
    """Binomial standard error of a share (0 to 1) observed over `count` trials."""
    return float(np.sqrt(share * (1.0 - share) / count)) if count else 0.0


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """The rows [N,D] scaled to unit length, as float32; a zero row stays zero."""
    wide = rows.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.divide(wide, length, out=np.zeros_like(wide), where=length > 0).astype(np.float32)


def blocks(rows: int, columns: int) -> list[tuple[int, int]]:
    """(start, stop) of as many of `rows` as have 8 million similarities to `columns` others, one after the other."""
    step = max(1, _BLOCK // max(1, columns))
    return [(start, min(start + step, rows)) for start in range(0, rows, step)]


def _nearest(scores: np.ndarray, own: np.ndarray, k: int) -> np.ndarray:
    """Mask [B,N] of the k highest scores in each row without the row's own image."""
    scores[np.arange(len(own)), own] = -np.inf
    limit = np.partition(scores, scores.shape[1] - k, axis=1)[:, -k, None]
    above, level = scores > limit, scores == limit
    return above | (level & (np.cumsum(level, axis=1, dtype=np.int32) <= k - above.sum(axis=1, keepdims=True)))
