"""Figures of generated queries: whether the chosen item is found, by language, and how models rank by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.evaluation.galleries import Gallery
from edgekit.evaluation.generative.report import Agreement, LanguageGap
from edgekit.evaluation.libraries import library
from edgekit.evaluation.retrieval_report import Figure
from edgekit.evaluation.search import Found, search
from edgekit.evaluation.uncertainty import drawn_means, ends, interval, summed
from edgekit.metrics.ranking import places
from edgekit.support.progress import Tick

__all__ = ["Judged", "agreement", "figure_of", "gap_of", "judge_chosen", "metrics"]

_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Judged:
    """What a model found for Q queries: the gains [Q,L] of its lists, 1 where a row shows a chosen item, and the
    figures [Q,M] in the order of `metrics`."""

    found: Found
    gains: np.ndarray
    values: np.ndarray


def metrics(at: Sequence[int]) -> list[str]:
    """The names of the figures for the cut-offs `at`."""
    return [*(f"recall@{k}" for k in at), f"mrr@{max(at)}"]


def judge_chosen(
    asked: np.ndarray, kept: Gallery, chosen: Sequence[Sequence[np.ndarray]], at: Sequence[int], tick: Tick
) -> Judged:
    """Search with each query's picture, and judge what is found.

    An item that several rows of the gallery show is found where the first of them is. recall@k is the share of a
    query's items that are found in the first k rows, mrr one over the place of the first. A tie counts against the
    query, as `metrics.ranking` has it.

    Args:
        asked: embeddings [Q,D] of the pictures.
        kept: the gallery.
        chosen: for each query, of each of its items the rows int64 that show it.
        at: the cut-offs k.
        tick: is told how far the search is.
    """
    found = search(asked, kept, max(at), None, tick)
    shows = [np.concatenate(list(items)) for items in chosen]
    gains = np.stack([np.isin(row, rows) for row, rows in zip(found.rows, shows, strict=True)]).astype(np.float64)
    place = places(found.scores, gains, found.bound)
    values = np.empty((len(asked), len(at) + 1))
    for query, items in enumerate(chosen):
        first = np.array([_first(found.rows[query], place[query], rows) for rows in items])
        values[query, :-1] = [(first <= k).mean() for k in at]
        values[query, -1] = 1 / first.min()
    return Judged(found, gains, values)


def _first(listed: np.ndarray, place: np.ndarray, rows: np.ndarray) -> float:
    """The place of the first of an item's rows; infinity where none is found."""
    own = place[np.isin(listed, rows) & (place > 0)]
    return float(own.min()) if len(own) else np.inf


def figure_of(values: np.ndarray, units: np.ndarray, resamples: int, seed: int) -> Figure:
    """The mean of values [Q] with its interval."""
    low, high = interval(values[:, None], units, resamples, seed)
    return Figure(value=float(values.mean()), low=float(low[0]), high=float(high[0]))


def gap_of(
    values: np.ndarray, languages: np.ndarray, units: np.ndarray, resamples: int, seed: int
) -> LanguageGap | None:
    """The gap between the best and the worst language of values [Q]; None where there is one alone.

    The interval is of the difference of these two, with units drawn again. As they were picked for being far apart, the
    p-value is of the gap itself: languages are exchanged among the queries of a unit, or among all queries where no
    unit is asked in two.
    """
    names, at = np.unique(languages, return_inverse=True)
    if len(names) < 2:
        return None
    counts = np.bincount(at)
    means = np.bincount(at, values) / counts
    best, worst = int(means.argmax()), len(means) - 1 - int(means[::-1].argmin())  # two, also where all are equal
    ends_of = [(values * (at == one), (at == one).astype(np.float64)) for one in (best, worst)]
    sums, sizes = summed(np.stack([column for pair in ends_of for column in pair], axis=1), units)
    drawn = np.concatenate(list(drawn_means(sums, sizes, resamples, seed)))
    there = (drawn[:, 1] > 0) & (drawn[:, 3] > 0)
    apart = drawn[there, 0] / drawn[there, 1] - drawn[there, 2] / drawn[there, 3]
    low, high = ends(apart) if len(apart) else (means[best] - means[worst],) * 2
    return LanguageGap(
        value=float(means[best] - means[worst]),
        low=float(low),
        high=float(high),
        best=str(names[best]),
        worst=str(names[worst]),
        p=_gap_p(values, at, units, resamples, seed),
    )


def _gap_p(values: np.ndarray, at: np.ndarray, units: np.ndarray, resamples: int, seed: int) -> float:
    within = units if len(np.unique(np.stack([units, at]), axis=1).T) > len(np.unique(units)) else np.zeros_like(units)
    counts, rng = np.bincount(at), np.random.default_rng(seed)
    order = np.argsort(within, kind="stable")
    observed = np.ptp(np.bincount(at, values) / counts) - _ROUNDING
    as_far = np.int64(0)
    for _ in range(resamples):
        mixed = np.lexsort((rng.random(len(values)), within))
        as_far += np.ptp(np.bincount(at[order], values[mixed]) / counts) >= observed
    return (int(as_far) + 1) / (resamples + 1)


def agreement(
    generated: np.ndarray, units: np.ndarray, real: np.ndarray, labels: np.ndarray, resamples: int, seed: int
) -> Agreement | None:
    """Spearman's correlation of the means of generated [Q,M] and real [R,M] over M models; None for fewer than three.

    `units` [Q] and `labels` [R] are what the interval draws. Where one side has all models equal there is no
    correlation, and none is counted among the drawn.
    """
    if generated.shape[1] < 3:
        return None
    sides = [(generated, units, seed), (real, labels, seed + 1)]
    rho = _spearman(*(side[0].mean(axis=0)[None] for side in sides))[0]
    if not np.isfinite(rho):
        return None
    drawn = [np.concatenate(list(drawn_means(*summed(values, own), resamples, by))) for values, own, by in sides]
    every = _spearman(*drawn)
    low, high = ends(every[np.isfinite(every)])
    return Agreement(models=generated.shape[1], rho=float(rho), low=float(low), high=float(high))


def _spearman(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The correlation of each row of two arrays [N,M]; NaN where a row is all equal."""
    rank = library("scipy.stats").rankdata
    a, b = (rank(np.round(side, 12), axis=1) for side in (left, right))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1)))
