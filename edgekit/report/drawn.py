"""Where intervals stand in a column that draws them, in the units of its SVG: a forest plot of a table's rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.report.document import Axis, Column, Reach, Table
from edgekit.report.scatter import Tick, ticks

__all__ = ["HEIGHT", "WIDTH", "Place", "Scale", "scales_of"]

WIDTH, HEIGHT = 300.0, 30.0  # of a row
_EDGE = 14.0  # left free on both sides, for the names of ticks
_MARGIN = 0.05  # of the range, on both sides


@dataclass(frozen=True)
class Place:
    """An interval at its place. An end that lies beyond the scale is `open`: its line goes to the edge; so does all of
    an interval that lies beyond it, whose value is None.
    """

    value: float | None
    low: float
    high: float
    open_low: bool
    open_high: bool


@dataclass(frozen=True)
class Scale:
    """What all rows of a column share: from where to where it goes, its ticks, and its lines."""

    low: float
    high: float
    ticks: Sequence[Tick]
    lines: Sequence[float]

    def place(self, cell: Reach) -> Place:
        """Where an interval stands."""
        value = self.at(cell.value) if self.low <= cell.value <= self.high else None
        low, high = cell.low < self.low, cell.high > self.high
        left = 2.0 if low else self.at(cell.low)
        right = WIDTH - 2 if high else max(self.at(cell.high), 14.0 if low else 0.0)
        return Place(value, left, right, low, high)

    def at(self, value: float) -> float:
        """Where a figure stands."""
        share = (value - self.low) / (self.high - self.low)
        return round(_EDGE + min(max(share, 0.0), 1.0) * (WIDTH - 2 * _EDGE), 1)


def scales_of(table: Table) -> list[Scale | None]:
    """The scale of each column that is drawn; None for the others."""
    return [
        _scale(column, [row.cells[index] for row in table.rows]) if column.kind == "drawn" else None
        for index, column in enumerate(table.columns)
    ]


def _scale(column: Column, cells: Sequence[object]) -> Scale:
    """Wide enough for all figures, lines and ends that are finite."""
    reaches = [cell for cell in cells if isinstance(cell, Reach)]
    ends = [end for cell in reaches for end in (cell.value, cell.low, cell.high) if math.isfinite(end)]
    ends += [line for line in column.lines if math.isfinite(line)]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    if column.span is not None:
        low, high = min(column.span), max(column.span)
    more = max((high - low) * _MARGIN, abs(high) * 1e-3, abs(low) * 1e-3, 10.0**-column.digits)
    scale = Scale(low - more, high + more, [], [])
    marks = ticks(scale.low, scale.high, Axis(column.name), 4)
    return Scale(
        scale.low,
        scale.high,
        [Tick(scale.at(value), text) for value, text in marks],
        [scale.at(line) for line in column.lines if math.isfinite(line)],
    )
