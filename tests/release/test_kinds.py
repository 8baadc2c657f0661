"""A kind of bundle is a row of a table, which code outside of the package can add to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgekit.errors import UsageError
from edgekit.release.kinds import KINDS, find, register


def test_a_row_from_outside_is_found() -> None:
    for name in KINDS:
        assert find(name).name == name
    toy = replace(find("plain"), name="toy")
    register(toy)
    assert find("toy") is toy
    with pytest.raises(UsageError, match="'toy' already"):
        register(toy)
    del KINDS["toy"]


def test_an_unknown_kind_is_one_line() -> None:
    with pytest.raises(UsageError, match="no kind of bundle 'wear'; give one of ios, android"):
        find("wear")
