"""Who was assigned to an arm: each once, and none to two arms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.errors import InputError
from edgekit.experiment.table import Table
from edgekit.support.text import shown

__all__ = ["Key", "hashes_of", "numbered"]

_SUSPECTS = 1000  # rows whose units are compared as text


@dataclass(frozen=True)
class Key:
    """A column that says who was assigned, and whether each may have one row only."""

    table: Table
    column: str
    arms: tuple[str, ...]
    once: bool


def hashes_of(values: Any) -> np.ndarray:
    """64 bits of each value of a pyarrow array, uint64 [rows]: a whole number itself, or text's SipHash.

    Among ten million texts two have the same bits with a probability of 3 in a million.
    """
    from pandas.util import hash_array
    from pyarrow import types

    plain = values.to_numpy(zero_copy_only=False)
    if types.is_integer(values.type):
        return np.asarray(plain).astype(np.uint64)
    return np.asarray(hash_array(plain, categorize=False))


def numbered(hashes: np.ndarray, arm_of_row: np.ndarray, key: Key) -> np.ndarray:
    """The number of each row's unit, int32 [rows].

    Raises:
        InputError: a unit is in two arms; or it has several rows, and `key.once`.
    """
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    again = np.concatenate([[False], ordered[1:] == ordered[:-1]])
    if again.any():
        _check(order, again, arm_of_row, key)
    numbers = np.empty(len(hashes), np.int32)
    numbers[order] = np.cumsum(~again) - 1
    return numbers


def _check(order: np.ndarray, again: np.ndarray, arm_of_row: np.ndarray, key: Key) -> None:
    """`order` are rows unit by unit, each unit's in the table's order; `again` says which have the unit of the row
    before them.
    """
    places = np.flatnonzero(again)
    earlier, later = order[places - 1], order[places]
    mixed = arm_of_row[earlier] != arm_of_row[later]
    where = f"{shown(str(key.table.path))}: {shown(key.column, 60)}"
    for unit, one, other in _same(earlier[mixed], later[mixed], key):
        raise InputError(
            f"{where} {shown(unit, 60)!r} is in two arms, {shown(key.arms[arm_of_row[one]], 60)} (row {one + 1}) and "
            f"{shown(key.arms[arm_of_row[other]], 60)} (row {other + 1}); units that change sides cannot be judged: "
            "correct the assignment"
        )
    for unit, one, other in _same(earlier, later, key) if key.once else ():
        raise InputError(
            f"{where} {shown(unit, 60)!r} has several rows, as {one + 1} and {other + 1}; write one row for each, "
            "or name that column as `cluster`"
        )


def _same(earlier: np.ndarray, later: np.ndarray, key: Key) -> Iterator[tuple[str, int, int]]:
    """Pairs of rows that do have the same unit, the first of the table first; the table is read again for them."""
    if not len(later):
        return
    first = np.argsort(later)[:_SUSPECTS]
    pairs = np.stack([earlier[first], later[first]], axis=1)
    wanted = np.unique(pairs)
    names: dict[int, str] = {}
    for batch in key.table.batches([key.column], []):
        start = batch.first - 1
        values = batch.texts[key.column]
        for row in wanted[(wanted >= start) & (wanted < start + len(values))].tolist():
            names[row] = str(values[row - start].as_py())
    for one, other in pairs.tolist():
        if names[one] == names[other]:
            yield names[one], one, other
