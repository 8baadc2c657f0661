"""Figures of ranked lists with graded relevance: plain functions on arrays of one row a query.

A tie counts against the query, as in `retrieval`: of items whose scores differ by at most `TIE`, the less relevant one
stands first, and one that is tied with what the list no longer shows is not found. So no figure depends on the order of
the gallery, and embeddings that are all alike find nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgekit.metrics.retrieval import TIE

__all__ = ["figures", "metric_names", "places"]

_PAIRS = 1 << 22  # pairs of listed items that are compared at a time


def places(scores: np.ndarray, gains: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """The place (1 is best) of each relevant item in its list; int64 [Q,L], 0 for one that is irrelevant or not found.

    Args:
        scores: similarities [Q,L], the highest first; -inf where a list is shorter.
        gains: relevance [Q,L], 0 where an item is irrelevant.
        bound: the best score [Q] that a list does not show; -inf where it shows the whole gallery.
    """
    out = np.zeros(scores.shape, np.int64)
    length = scores.shape[1]
    earlier = np.tri(length, k=-1, dtype=bool)  # [own, other]: the other stands before in the list
    step = max(1, _PAIRS // max(1, length * length))
    for start in range(0, len(scores), step):
        some = slice(start, start + step)
        own, other = scores[some, :, None], scores[some, None, :]
        mine, theirs = gains[some, :, None], gains[some, None, :]
        before = (theirs < mine) & (other >= own - TIE) & np.isfinite(other)
        before |= (theirs > mine) & (other > own + TIE)
        before |= (theirs == mine) & earlier
        found = (gains[some] > 0) & (scores[some] > bound[some, None] + TIE)
        out[some] = np.where(found, before.sum(axis=2) + 1, 0)
    return out


def metric_names(at: Sequence[int]) -> list[str]:
    """The names of the figures that `figures` gives for the cut-offs `at`, in its order."""
    deepest = max(at)
    cut = [f"{name}@{k}" for name in ("recall", "precision", "ndcg") for k in at]
    return [*cut, f"map@{deepest}", f"mrr@{deepest}"]


def figures(
    place: np.ndarray, gains: np.ndarray, relevant: np.ndarray, ideal: np.ndarray, at: Sequence[int]
) -> np.ndarray:
    """Figures of each query, float64 [Q,M] in the order of `metric_names`, each from 0 to 1.

    recall@k is the share of all relevant items that stand in the first k places, precision@k the share of the k places
    that they fill, nDCG@k the discounted gain over the best possible one (Järvelin and Kekäläinen, 2002; gain linear,
    discount log2). map and mrr are cut at the deepest k: average precision over all relevant items, and one over the
    place of the first.

    Args:
        place: of `places`, [Q,L].
        gains: relevance of the listed items, [Q,L].
        relevant: how many items of the gallery are relevant, [Q]; at least 1.
        ideal: the highest gains of the gallery in falling order, [Q, at least max(at)], 0 beyond the last.
        at: the cut-offs k.
    """
    deepest = max(at)
    discounts = 1.0 / np.log2(np.arange(2, deepest + 2))
    there = (place > 0) & (place <= deepest)
    hits = {k: ((place > 0) & (place <= k)) for k in at}
    counts = {k: hits[k].sum(axis=1) for k in at}
    discounted = np.where(there, gains * discounts[np.clip(place, 1, deepest) - 1], 0.0)
    columns = [counts[k] / relevant for k in at]
    columns += [counts[k] / k for k in at]
    columns += [
        np.where(hits[k], discounted, 0.0).sum(axis=1) / (ideal[:, :k].astype(np.float64) @ discounts[:k]) for k in at
    ]
    # The n-th relevant item that was found adds the precision at its place.
    order = np.sort(np.where(there, place, np.iinfo(np.int64).max), axis=1)
    found = order <= deepest
    precisions = np.where(found, np.arange(1, order.shape[1] + 1) / order, 0.0)
    columns.append(precisions.sum(axis=1) / relevant)
    columns.append(np.where(found[:, 0], 1.0 / order[:, 0], 0.0))
    return np.stack(columns, axis=1)
