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


def places(scores: np.ndarray, gains: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """The place (1 is best) of each relevant item in its list; int64 [Q,L], 0 for one that is irrelevant or not found.

    Args:
        scores: similarities [Q,L], the highest first; -inf where a list is shorter.
        gains: relevance [Q,L], 0 where an item is irrelevant.
        bound: the best score [Q] that a list does not show; -inf where it shows the whole gallery.
    """
    out = np.zeros(scores.shape, np.int64)
    found = (gains > 0) & (scores > bound[:, None] + TIE)
    for query in np.flatnonzero(found.any(axis=1)):
        falling, gain = -scores[query].astype(np.float64), gains[query]
        for grade in np.unique(gain[found[query]]):
            own = np.flatnonzero(found[query] & (gain == grade))
            tied = np.searchsorted(falling, falling[own] + TIE, side="right")  # items that score as high, or are tied
            above = np.searchsorted(falling, falling[own] - TIE, side="left")
            out[query, own] = (
                1 + _before(gain < grade)[tied] + _before(gain > grade)[above] + _before(gain == grade)[own]
            )
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


def _before(mask: np.ndarray) -> np.ndarray:
    """How many are true before each place, and in all: int64 [L + 1]."""
    return np.concatenate([[0], np.cumsum(mask)])
