"""Who is served worse: queries by the texts of a column, beside the average and beside the original's own gap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from edgekit.errors import InputError
from edgekit.evaluation.retrieval_report import ALPHA, Segment
from edgekit.evaluation.tasks import Side
from edgekit.evaluation.uncertainty import coded, corrected, gaps
from edgekit.support.text import shown

__all__ = ["Sampling", "segments_of", "texts_of"]

_MOST = 1000  # segments of a column
_NO_TEXT = "(none)"


class Sampling(Protocol):
    """How often is drawn, from which seed, and how many comparisons are corrected for."""

    @property
    def resamples(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def correction(self) -> str: ...


def texts_of(side: Side, rows: np.ndarray, by: Sequence[str]) -> dict[str, list[str]]:
    """The texts of some rows in each of the columns `by`; "(none)" where one is empty.

    Raises:
        InputError: a column is missing, or has over a thousand different texts.
    """
    found = {}
    for name in dict.fromkeys(by):
        if name not in side.columns:
            there = ", ".join(shown(other, 40) for other in list(side.columns)[:8]) or "none"
            raise InputError(f"{side.name}: has no column {shown(name, 40)} (its columns: {there})", field="by")
        found[name] = [side.columns[name][row] or _NO_TEXT for row in rows]
        if (count := len(set(found[name]))) > _MOST:
            raise InputError(
                f"{side.name}: the column {shown(name, 40)} has {count} different texts, too many for segments; choose "
                f"one with at most {_MOST}",
                field="by",
            )
    return found


def segments_of(
    arrangement: str,
    values: np.ndarray,
    base: np.ndarray | None,
    units: np.ndarray,
    texts: Mapping[str, Sequence[str]],
    sampling: Sampling,
) -> list[Segment]:
    """Each segment of each column: its figure, its gap to the average, and how much wider than in `base` the gap is.

    Args:
        arrangement: whose figures they are.
        values: a figure of each query, float64 [Q].
        base: the same of the base, or None.
        units: of each query, int64 [Q].
        texts: of each query, by column.
        sampling: how to draw.
    """
    rows = []
    for column, own in texts.items():
        names, segment = coded(own)
        found = gaps(values, segment, units, sampling.resamples, sampling.seed)
        p = corrected([gap.p for gap in found.values()], sampling.correction)
        # The gap of the differences is the difference of the gaps.
        wider = None if base is None else gaps(values - base, segment, units, sampling.resamples, sampling.seed)
        wider_p = (
            [None] * len(names) if wider is None else corrected([g.p for g in wider.values()], sampling.correction)
        )
        for number, name in enumerate(names):
            gap, more = found[number], None if wider is None else wider[number]
            rows.append(
                Segment(
                    arrangement=arrangement,
                    column=column,
                    segment=name,
                    queries=gap.queries,
                    figure=gap.mean,
                    gap=gap.gap,
                    gap_low=_finite(gap.low),
                    gap_high=_finite(gap.high),
                    p=p[number],
                    worse=p[number] <= ALPHA,
                    widened=None if more is None else more.gap,
                    widened_low=None if more is None else _finite(more.low),
                    widened_high=None if more is None else _finite(more.high),
                    widened_p=wider_p[number],
                )
            )
    return rows


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
