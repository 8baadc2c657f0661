"""Figures of a training run: retrieval, kNN accuracy, retention and the uncertainty of a difference.

Embeddings are float32 [N,D], any length but zero; a non-finite one raises ModelError, since it compares with nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgekit.errors import MissingDependencyError, ModelError
from edgekit.metrics.retrieval import blocks, ranks, unit_rows

__all__ = ["Retrieval", "bootstrap_mean_difference", "knn_accuracy", "retention", "retrieval"]

_DECIMALS = 6  # similarities equal to this many decimals are a tie, like in metrics.retrieval


@dataclass(frozen=True)
class Retrieval:
    """How well queries find their listing: means over `queries` queries, each from 0 to 1, among `gallery` rows.

    `ranks` is int64 [Q], the rank (1 is best) of each query's first relevant row; a query with 0 has none and is left
    out of every figure and of `queries`. All figures are 0 where `queries` is 0.
    """

    recall_1: float
    recall_10: float
    ndcg_10: float
    mean_ap: float
    queries: int
    gallery: int
    ranks: np.ndarray = field(compare=False, repr=False)


def retrieval(
    query: np.ndarray, gallery: np.ndarray, query_listings: np.ndarray, gallery_listings: np.ndarray
) -> Retrieval:
    """Search each query's listing in the gallery by cosine; a row is relevant where its listing is the query's.

    Takes float32 [Q,D] and [G,D], int64 [Q] and [G]; listing -1 is unknown: as a query left out, in the gallery never
    relevant. Ties (within about 1e-6) count against the query in recall and mean average precision, and are averaged
    over in nDCG (McSherry and Najork, "Computing information retrieval performance measures efficiently in the presence
    of tied scores", 2008), so the order of the gallery does not matter. nDCG is that of Järvelin and Kekäläinen,
    "Cumulated gain-based evaluation of IR techniques", 2002, with binary gains.
    Raises ModelError on non-finite embeddings, MissingDependencyError without scikit-learn.
    """
    _require_finite(query, gallery)
    q_codes = np.where(query_listings < 0, -2, query_listings)  # never equal to an unknown listing of the gallery
    g_codes = np.where(gallery_listings < 0, -1, gallery_listings)
    query_ranks = ranks(query, gallery, q_codes.tolist(), g_codes.tolist(), exclude_self=False)
    asked = np.flatnonzero(query_ranks)
    if len(asked) == 0:
        return Retrieval(0.0, 0.0, 0.0, 0.0, 0, len(gallery), query_ranks)
    ndcg, precision = 0.0, 0.0
    q, g = unit_rows(query[asked]), unit_rows(gallery)
    for start, stop in blocks(len(q), len(g)):
        relevant = q_codes[asked[start:stop], None] == g_codes[None, :]
        scores = np.round(q[start:stop] @ g.T, _DECIMALS)
        share = (stop - start) / len(q)
        # nDCG of a single document is 1 by definition; scikit-learn refuses to say so.
        ndcg += share * (_sklearn("metrics").ndcg_score(relevant, scores, k=10) if len(g) > 1 else 1.0)
        precision += share * _sklearn("metrics").label_ranking_average_precision_score(relevant, scores)
    first = query_ranks[asked]
    recall_1, recall_10 = float(np.mean(first <= 1)), float(np.mean(first <= 10))
    return Retrieval(recall_1, recall_10, float(ndcg), float(precision), len(asked), len(gallery), query_ranks)


def knn_accuracy(
    embeddings: np.ndarray, codes: np.ndarray, neighbours: int, *, groups: np.ndarray | None = None
) -> float | None:
    """Share of rows whose class is the most frequent among their `neighbours` nearest other rows by cosine; 0 to 1.

    Takes float32 [N,D], int32 [N] classes (-1: no label, left out) and int64 [N] groups: rows of a row's own group are
    not among its neighbours, -1 is a group of its own. Of classes with equally many votes, the one of the nearest
    neighbour wins. Rows at equal distance stand in a fixed random order, so embeddings that are all alike score about
    chance. None where fewer than 2 rows, classes or groups remain. The protocol, without distance weights, is that of
    Wu et al., "Unsupervised feature learning via non-parametric instance discrimination", 2018.
    Raises ModelError on non-finite embeddings, MissingDependencyError without scikit-learn.
    """
    kept = np.random.default_rng(0).permutation(np.flatnonzero(codes >= 0))
    _require_finite(embeddings[kept])
    labels = codes[kept]
    own = np.full(len(kept), -1, np.int64) if groups is None else groups[kept]
    own = np.unique(np.where(own < 0, -1 - np.arange(len(kept)), own), return_inverse=True)[1]
    if len(np.unique(labels)) < 2 or len(np.unique(own)) < 2:
        return None
    rows = unit_rows(embeddings[kept])
    search = _sklearn("neighbors").NearestNeighbors(algorithm="brute", metric="cosine").fit(rows)
    wanted = min(len(rows), neighbours + int(np.bincount(own).max()))
    right = 0
    for start, stop in blocks(len(rows), len(rows)):
        near = search.kneighbors(rows[start:stop], n_neighbors=wanted, return_distance=False)
        strange = own[near] != own[start:stop, None]
        order = np.argsort(~strange, axis=1, kind="stable")[:, :neighbours]  # other groups first, nearest first
        voters = np.take_along_axis(strange, order, axis=1)
        classes = np.where(voters, labels[np.take_along_axis(near, order, axis=1)], -1)
        votes = np.stack([(classes == column[:, None]).sum(axis=1) for column in classes.T], axis=1)
        winner = np.argmax(np.where(voters, votes, 0), axis=1)  # the first of the highest is the nearest
        right += int(np.sum(classes[np.arange(len(classes)), winner] == labels[start:stop]))
    return right / len(rows)


def retention(student: float, teacher: float) -> float | None:
    """How much of the teacher's figure the student keeps: 1 is all of it; None where the teacher's is 0."""
    return student / teacher if teacher != 0 else None


def bootstrap_mean_difference(
    lefts: Sequence[np.ndarray], rights: Sequence[np.ndarray], *, resamples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """mean(right) - mean(left) over tasks that weigh the same, and its 95 % interval: (difference, low, high).

    Takes one pair of [Q] arrays a task, one figure a query (hits, 0 or 1, say), for the same queries in the same order;
    Q may differ between tasks. The interval is the percentile interval (Efron and Tibshirani, "An introduction to the
    bootstrap", 1993) over the queries of each task drawn with replacement, both figures of a query together (Sakai,
    "Evaluating evaluation metrics based on the bootstrap", 2006).
    Raises ValueError where there is no task, a task has no query, or its two arrays differ in length.
    """
    if not lefts or len(lefts) != len(rights):
        raise ValueError(f"{len(lefts)} tasks on the left, {len(rights)} on the right: give as many, and at least one")
    random = np.random.default_rng(seed)
    differences: list[float] = []
    drawn = np.zeros(resamples)
    for left, right in zip(lefts, rights, strict=True):
        if len(left) == 0 or len(left) != len(right):
            raise ValueError(f"{len(left)} queries on the left, {len(right)} on the right: give the same, at least one")
        paired = right.astype(np.float64) - left
        differences.append(float(paired.mean()))
        # How often each value is drawn is multinomial: for hits, three numbers a resample instead of Q.
        values, counts = np.unique(paired, return_counts=True)
        for start, stop in blocks(resamples, len(values)):
            times = random.multinomial(len(paired), counts / len(paired), size=stop - start)
            drawn[start:stop] += times @ values / len(paired)
    low, high = np.percentile(drawn / len(lefts), [2.5, 97.5])
    return float(np.mean(differences)), float(low), float(high)


def _sklearn(module: str) -> Any:
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        raise MissingDependencyError(
            "measuring embeddings needs scikit-learn: run `pip install 'edgekit[distill]'`"
        ) from error


def _require_finite(*embeddings: np.ndarray) -> None:
    bad = sum(int(np.sum(~np.isfinite(rows).all(axis=1))) for rows in embeddings)
    if bad:
        total = sum(len(rows) for rows in embeddings)
        raise ModelError(f"{bad} of {total} embeddings are not finite: training diverged, lower the rate or use fp32")
