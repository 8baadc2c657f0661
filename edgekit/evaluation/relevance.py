"""What is relevant to a query: rows of the gallery with equal text in a column, or pairs that a table lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

__all__ = ["ByColumns", "ByPairs", "Relevance"]

_MISSING = -1  # the code of an empty text, which equals nothing


class Relevance(Protocol):
    """Of Q queries and N rows of a gallery, which is relevant to which; a query's own row is to none."""

    def gains(self, found: np.ndarray) -> np.ndarray:
        """How relevant each row of the lists `found` int64 [Q,L] is to its query; float64 [Q,L], 0 for -1."""
        ...

    def relevant(self) -> np.ndarray:
        """How many rows are relevant to each query, int64 [Q]."""
        ...

    def ideal(self, most: int) -> np.ndarray:
        """The highest gains of each query in falling order, 0 beyond the last; float64 [Q,most]."""
        ...


class ByColumns:
    """Relevant is a row with the same text in the column `must`, by 1; each column of `also` that agrees adds 1.

    An empty text agrees with nothing. Columns are text by name, of the queries and of the gallery; `own` int64 [Q] is
    each query's own row, -1 where it has none.
    """

    def __init__(
        self,
        queries: Mapping[str, Sequence[str]],
        gallery: Mapping[str, Sequence[str]],
        must: str,
        also: Sequence[str],
        own: np.ndarray,
    ) -> None:
        self._own = own
        self._must = _codes(queries[must], gallery[must])
        pairs = [_codes(queries[name], gallery[name]) for name in also]
        self._also = [np.stack([pair[side] for pair in pairs], axis=1) if pairs else None for side in (0, 1)]
        self._histogram = self._count(1 + len(pairs))

    def gains(self, found: np.ndarray) -> np.ndarray:
        """See `Relevance`."""
        asked, kept = self._must
        same = _agree(asked[:, None], kept[found]) & (found >= 0) & (found != self._own[:, None])
        grades = np.ones(found.shape)
        if self._also[0] is not None and self._also[1] is not None:
            for own, theirs in zip(self._also[0].T, self._also[1].T, strict=True):
                grades += _agree(own[:, None], theirs[found])
        return np.where(same, grades, 0.0)

    def relevant(self) -> np.ndarray:
        """See `Relevance`."""
        return self._histogram.sum(axis=1)

    def ideal(self, most: int) -> np.ndarray:
        """See `Relevance`."""
        falling = self._histogram[:, ::-1].cumsum(axis=1)
        places = np.arange(most)
        better = (falling[:, :, None] <= places).sum(axis=1)  # grades that are used up before each place
        return np.asarray(self._histogram.shape[1] - better, np.float64)

    def _count(self, grades: int) -> np.ndarray:
        """How many rows have grade 1, 2, ... for each query, int64 [Q,grades]."""
        asked, kept = self._must
        out = np.zeros((len(asked), grades), np.int64)
        rows, queries = np.argsort(kept, kind="stable"), np.argsort(asked, kind="stable")
        starts, stops = (np.searchsorted(kept[rows], asked, side) for side in ("left", "right"))
        if grades == 1:
            out[:, 0] = np.where(asked == _MISSING, 0, stops - starts)
        else:
            for alike in np.split(queries, np.flatnonzero(np.diff(asked[queries])) + 1):
                first = alike[0]
                if asked[first] != _MISSING:
                    out[alike] = self._grades_of(alike, rows[starts[first] : stops[first]], grades)
        owning = np.flatnonzero((self._own >= 0) & _agree(asked, kept[self._own]))
        if len(owning):
            same = np.ones(len(owning), np.int64)
            if self._also[0] is not None and self._also[1] is not None:
                same += _agree(self._also[0][owning], self._also[1][self._own[owning]]).sum(axis=1)
            out[owning, same - 1] -= 1
        return out

    def _grades_of(self, queries: np.ndarray, rows: np.ndarray, grades: int) -> np.ndarray:
        """The same for queries and rows that agree in `must`; each combination of texts is counted once."""
        assert self._also[0] is not None
        assert self._also[1] is not None
        kinds, at = np.unique(self._also[0][queries], axis=0, return_inverse=True)
        theirs = self._also[1][rows]
        counted = [np.bincount(_agree(kind, theirs).sum(axis=1), minlength=grades) for kind in kinds]
        return np.stack(counted)[at.reshape(-1)]


class ByPairs:
    """Relevant is what a table lists: `query` int64 [P], `row` int64 [P] and `gain` float64 [P] of each pair."""

    def __init__(self, query: np.ndarray, row: np.ndarray, gain: np.ndarray, own: np.ndarray, rows: int) -> None:
        kept = (gain > 0) & (own[query] != row)
        order = np.lexsort((-gain[kept], query[kept]))
        self._query, self._row, self._gain = (array[kept][order] for array in (query, row, gain))
        self._queries, self._rows = len(own), rows
        key = self._query * rows + self._row
        self._sorted = np.argsort(key, kind="stable")
        self._key = key[self._sorted]

    def gains(self, found: np.ndarray) -> np.ndarray:
        """See `Relevance`."""
        if not len(self._key):
            return np.zeros(found.shape)
        key = np.arange(self._queries)[:, None] * self._rows + found
        at = np.minimum(np.searchsorted(self._key, key), len(self._key) - 1)
        listed = (self._key[at] == key) & (found >= 0)
        return np.where(listed, self._gain[self._sorted][at], 0.0)

    def relevant(self) -> np.ndarray:
        """See `Relevance`."""
        return np.bincount(self._query, minlength=self._queries)

    def ideal(self, most: int) -> np.ndarray:
        """See `Relevance`."""
        out = np.zeros((self._queries, most))
        counts = self.relevant()
        place = np.arange(len(self._query)) - np.repeat(counts.cumsum() - counts, counts)
        early = place < most
        out[self._query[early], place[early]] = self._gain[early]
        return out


def _codes(left: Sequence[str], right: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Equal numbers for equal texts, -1 for an empty one; int64 of both sides."""
    numbers: dict[str, int] = {"": _MISSING}
    both = [numbers.setdefault(text, len(numbers)) for side in (left, right) for text in side]
    codes = np.array(both, np.int64)
    return codes[: len(left)], codes[len(left) :]


def _agree(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.asarray((left == right) & (left != _MISSING))
