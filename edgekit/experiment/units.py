"""A table of one row for each unit (or of several for each cluster) as moments by arm and day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np

from edgekit.errors import InputError
from edgekit.experiment.keys import Key, hashes_of, numbered
from edgekit.experiment.moments import Moments
from edgekit.experiment.table import Batch, Table
from edgekit.support.progress import Reporter
from edgekit.support.text import shown

__all__ = ["Layout", "Sample", "arm_codes", "read_units"]

_MOST_ARMS = 50


@dataclass(frozen=True)
class Layout:
    """Which columns say what: the arm, the unit, the cluster of units that were assigned together, and the day."""

    arm: str
    unit: str | None
    cluster: str | None
    day: str | None

    @property
    def texts(self) -> list[str]:
        """Columns that are read as text."""
        return [name for name in (self.arm, self.unit, self.cluster) if name]


@dataclass
class Sample:
    """All that the tests need of a table: moments of the `columns` by arm and day, and what values the columns have.

    With clusters a unit is a cluster, its values are the totals of its rows, and a last column counts the rows.
    """

    columns: tuple[str, ...]
    clustered: bool
    rows: int = 0
    parts: dict[tuple[str, date | None], Moments] = field(default_factory=dict)
    graded: dict[str, tuple[float, int]] = field(default_factory=dict)  # first value that is not 0 or 1, and its row
    lowest: dict[str, tuple[float, int]] = field(default_factory=dict)  # value and row

    @property
    def arms(self) -> tuple[str, ...]:
        """All arms, by name."""
        return tuple(sorted({arm for arm, _ in self.parts}))

    @property
    def days(self) -> tuple[date, ...]:
        """All days, in order."""
        return tuple(sorted({day for _, day in self.parts if day is not None}))

    def of(self, arm: str, until: date | None = None) -> Moments | None:
        """The moments of an arm, up to a day; None where it has no unit."""
        chosen = [
            part
            for (name, day), part in sorted(self.parts.items(), key=lambda item: (item[0][0], item[0][1] or date.min))
            if name == arm and (until is None or (day is not None and day <= until))
        ]
        whole: Moments | None = None
        for part in chosen:
            whole = part if whole is None else whole + part
        return whole


def read_units(table: Table, layout: Layout, columns: Sequence[str], reporter: Reporter) -> Sample:
    """Read a table; what is kept of each row is 64 bits of its unit, and with clusters its numbers.

    Raises:
        InputError: a value is missing or no number, a unit is there twice or in two arms.
    """
    sample = Sample(tuple(columns), layout.cluster is not None)
    keys: dict[str, list[np.ndarray]] = {name: [] for name in (layout.unit, layout.cluster) if name}
    arms: dict[str, int] = {}
    codes: list[np.ndarray] = []
    values: list[np.ndarray] = []
    with reporter.stage(f"read {shown(table.path.name)}") as tick:
        for batch in table.batches(layout.texts, columns, layout.day):
            code = arm_codes(batch.texts[layout.arm], arms, table)
            codes.append(code)
            for name, hashes in keys.items():
                hashes.append(hashes_of(batch.texts[name]))
            _watch(sample, batch)
            if layout.cluster:
                values.append(batch.numbers)
            else:
                _add(sample, list(arms), code, batch.numbers, batch.days)
            sample.rows += len(code)
            tick(sample.rows, max(sample.rows, table.rows))
    arm_of_row = np.concatenate(codes)
    for name, hashes in keys.items():
        key = Key(table, name, tuple(arms), once=name == layout.unit)
        unit_of_row = numbered(np.concatenate(hashes), arm_of_row, key)
        if name == layout.cluster:
            totals, arm_of_cluster = _totals(unit_of_row, arm_of_row, values)
            _add(sample, list(arms), arm_of_cluster, totals, None)
    return sample


def arm_codes(values: Any, arms: dict[str, int], table: Table) -> np.ndarray:
    """The arm of each row as a number, int16 [rows]; `arms` learns new names."""
    encoded = values.dictionary_encode()
    names = [str(name) for name in encoded.dictionary.to_pylist()]
    for name in names:
        if not name.strip():
            raise InputError(f"{shown(str(table.path))}: a row has no arm; fill it in, or leave the row out")
        arms.setdefault(name, len(arms))
        if len(arms) > _MOST_ARMS:
            raise InputError(
                f"{shown(str(table.path))}: has over {_MOST_ARMS} arms, as {shown(name, 60)!r}; is `arm` the right "
                "column?"
            )
    places = np.asarray([arms[name] for name in names], np.int16)
    return places[encoded.indices.to_numpy(zero_copy_only=False)]


def _watch(sample: Sample, batch: Batch) -> None:
    for place, name in enumerate(sample.columns):
        values = batch.numbers[:, place]
        row = int(values.argmin())
        if name not in sample.lowest or values[row] < sample.lowest[name][0]:
            sample.lowest[name] = (float(values[row]), batch.first + row)
        if name not in sample.graded and (other := (values != 0) & (values != 1)).any():
            first = int(other.argmax())
            sample.graded[name] = (float(values[first]), batch.first + first)


def _add(sample: Sample, arms: list[str], code: np.ndarray, values: np.ndarray, days: np.ndarray | None) -> None:
    """Merge the moments of some rows into those of their arm and day."""
    marks: Mapping[date | None, np.ndarray | slice] = {None: slice(None)}
    if days is not None:
        found, place = np.unique(days, return_inverse=True)
        marks = {day.item(): place == number for number, day in enumerate(found)}
    for day, of_day in marks.items():
        here, own = code[of_day], values[of_day]
        for number in np.unique(here):
            part = Moments.of(own[here == number])
            key = (arms[number], day)
            sample.parts[key] = sample.parts[key] + part if key in sample.parts else part


def _totals(codes: np.ndarray, arm_of_row: np.ndarray, values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Totals of each cluster [clusters, columns + 1], the last one its number of rows, and its arm."""
    count = int(codes.max()) + 1
    columns = values[0].shape[1]
    totals = np.zeros((count, columns + 1))
    start = 0
    for batch in values:
        here = codes[start : start + len(batch)]
        for column in range(columns):
            np.add.at(totals[:, column], here, batch[:, column])
        start += len(batch)
    totals[:, -1] = np.bincount(codes, minlength=count)
    arm = np.zeros(count, arm_of_row.dtype)
    arm[codes] = arm_of_row
    return totals, arm
