"""Exact search: of each query the k best rows of a gallery, in a stated amount of memory.

faiss scores a block of the gallery at a time, or some of the queries where the gallery needs no decoding, so a search
takes beside the gallery as it is kept:

- one block that is decoded, at most 64 MiB;
- 16 bytes for each place of each query's list, three times over: 48 MB for the 100 best of 10,000 queries;
- what faiss and its matrix product take, below 64 MiB a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.errors import InputError
from edgekit.evaluation.galleries import Gallery
from edgekit.evaluation.libraries import library

__all__ = ["Found", "search"]

Tick = Callable[[int, int], object]

_BLOCK = 64 << 20  # bytes of float32 that are decoded at a time
_ASKED = 1024  # queries that search a whole gallery at a time


@dataclass(frozen=True, eq=False)
class Found:
    """The best of a gallery for Q queries: its rows int64 [Q,L] and their scores float32 [Q,L], the best first.

    L is k, or the size of a gallery that is smaller; -1 and -inf stand where a list is shorter. `bound` float32 [Q] is
    the best score of what is not listed, -inf where everything is.
    """

    rows: np.ndarray
    scores: np.ndarray
    bound: np.ndarray


def search(
    queries: np.ndarray,
    gallery: Gallery,
    k: int,
    own: np.ndarray | None = None,
    tick: Tick = lambda done, total: None,
) -> Found:
    """The k rows of `gallery` with the highest score for each of `queries`, exact up to the rounding of float32.

    Args:
        queries: embeddings [Q,D].
        k: how many, at least 1.
        own: of each query the row int64 [Q] that is the query itself and is not searched; -1 where there is none.
        tick: is told how much of how much was searched.

    Raises:
        InputError: the queries have another number of values than the gallery.
        MissingDependencyError: faiss is not installed.
    """
    faiss = library("faiss")
    asked = gallery.query(queries)
    if asked.shape[1] != gallery.dim:
        raise InputError(f"queries have {asked.shape[1]} values, the gallery has {gallery.dim}; embed both alike")
    listed = min(k + 1 + (own is not None), gallery.rows)
    if gallery.held is not None:
        rows, scores = _in_whole(faiss, asked, gallery.held, listed, tick)
    else:
        rows, scores = _in_blocks(faiss, asked, gallery, listed, tick)
    return _without_own(rows, scores, k, own)


def _in_whole(
    faiss: Any, asked: np.ndarray, held: np.ndarray, listed: int, tick: Tick
) -> tuple[np.ndarray, np.ndarray]:
    """The places int64 and the scores of the best, some queries at a time."""
    rows, scores = np.empty((len(asked), listed), np.int64), np.empty((len(asked), listed), np.float32)
    for start in range(0, len(asked), _ASKED):
        stop = min(start + _ASKED, len(asked))
        scores[start:stop], rows[start:stop] = faiss.knn(
            asked[start:stop], held, listed, metric=faiss.METRIC_INNER_PRODUCT
        )
        tick(stop, len(asked))
    return rows, scores


def _in_blocks(
    faiss: Any, asked: np.ndarray, gallery: Gallery, listed: int, tick: Tick
) -> tuple[np.ndarray, np.ndarray]:
    """The same, a block of the gallery at a time, of which the lists are merged."""
    heap = faiss.ResultHeap(len(asked), listed, keep_max=True)
    step = max(1, _BLOCK // (4 * gallery.dim))
    for start in range(0, gallery.rows, step):
        stop = min(start + step, gallery.rows)
        block = np.ascontiguousarray(gallery.block(start, stop))
        most = min(listed, stop - start)
        scores, rows = faiss.knn(asked, block, most, metric=faiss.METRIC_INNER_PRODUCT)
        rows += start
        heap.add_result(scores, rows)
        tick(stop, gallery.rows)
    heap.finalize()
    return heap.I, heap.D


def _without_own(rows: np.ndarray, scores: np.ndarray, k: int, own: np.ndarray | None) -> Found:
    """Lists of at most k, of which the queries themselves are taken out, and the score after each."""
    if own is not None:
        selves = rows == np.where(own < 0, -2, own)[:, None]
        order = np.argsort(selves, axis=1, kind="stable")
        rows, scores = (np.take_along_axis(array, order, axis=1) for array in (rows, scores))
        gone = np.take_along_axis(selves, order, axis=1)
        rows, scores = np.where(gone, -1, rows), np.where(gone, np.float32(-np.inf), scores)
    scores = np.where(rows < 0, np.float32(-np.inf), scores)
    bound = scores[:, k] if scores.shape[1] > k else np.full(len(scores), -np.inf, np.float32)
    return Found(rows[:, :k], scores[:, :k], bound)
