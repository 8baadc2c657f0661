"""Units that are there twice are found, and two units that only look the same in 64 bits are not taken for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import InputError
from edgekit.experiment.keys import Key, hashes_of, numbered
from edgekit.experiment.table import open_table
from tests.experiment.tables import write


def number(path: Path, units: Any, arms: list[int], *, once: bool = True) -> np.ndarray:
    table = open_table(write(path / "a.parquet", {"unit": units, "arm": [f"arm{arm}" for arm in arms]}))
    key = Key(table, "unit", ("arm0", "arm1"), once=once)
    return numbered(hashes_of(pa.array(units)), np.asarray(arms, np.int16), key)


@given(st.lists(st.text(max_size=3), min_size=1, max_size=40))
def test_rows_have_one_number_where_they_have_one_unit(units: list[str]) -> None:
    encodable = [unit.encode("utf-8", "replace").decode() for unit in units]
    key = Key(open_table_of_nothing(), "unit", ("a",), once=False)
    found = numbered(hashes_of(pa.array(encodable)), np.zeros(len(units), np.int16), key)
    assert len(set(found.tolist())) == len(set(encodable)) == found.max() + 1
    assert len(set(zip(encodable, found.tolist(), strict=True))) == len(set(encodable))


def open_table_of_nothing() -> Any:
    """A table that is not read, for units that may have several rows of one arm."""

    class Unread:
        path = Path("unread")

    return Unread()


@pytest.mark.parametrize("units", [["a", "b", "c", "b"], [7, -5, 9, -5]])
def test_a_unit_in_two_arms_is_named_with_its_rows(tmp_path: Path, units: list[Any]) -> None:
    for once in (True, False):
        with pytest.raises(InputError) as caught:
            number(tmp_path, units, [0, 1, 1, 0], once=once)
        for words in (repr(str(units[1])), "in two arms", "arm1 (row 2)", "arm0 (row 4)"):
            assert words in str(caught.value)


def test_a_unit_with_several_rows_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'b' has several rows, as 2 and 4;.*`cluster`"):
        number(tmp_path, ["a", "b", "c", "b"], [0, 1, 1, 1])
    found = number(tmp_path, ["a", "b", "c", "b"], [0, 1, 1, 1], once=False)
    assert found[1] == found[3] and len(set(found.tolist())) == 3


def test_units_that_share_64_bits_are_told_apart(tmp_path: Path) -> None:
    table = open_table(write(tmp_path / "a.parquet", {"unit": ["a", "b"], "arm": ["x", "y"]}))
    same = np.asarray([5, 5], np.uint64)
    assert len(numbered(same, np.asarray([0, 1], np.int16), Key(table, "unit", ("x", "y"), once=True))) == 2
