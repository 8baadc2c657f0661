"""The table of drivers: each row names what there is, and each field of a request has a driver that uses it."""

from __future__ import annotations

import dataclasses
import pkgutil
from pathlib import Path

import pytest

from edgekit.bench.drivers.base import Driver
from edgekit.bench.drivers.table import DRIVERS, Row, find
from edgekit.bench.request import BenchRequest
from edgekit.errors import UsageError

FIELDS = {field.name for field in dataclasses.fields(BenchRequest)}
EVERYWHERE = {"artifacts", "on", "warmup", "min_iterations", "min_duration_s", "images", "allow_bare"}


@pytest.mark.parametrize("row", DRIVERS, ids=lambda row: row.key)
def test_a_row_names_a_driver_with_all_verbs(row: Row) -> None:
    assert row.fields <= FIELDS - EVERYWHERE
    assert isinstance(row.driver, str)
    driver = pkgutil.resolve_name(row.driver)
    for verb in ("choose", "prepare", "measure", "restore"):
        assert callable(getattr(driver, verb)) and getattr(Driver, verb).__doc__


def test_every_field_is_used_by_a_driver() -> None:
    assert set.union(EVERYWHERE, *(set(row.fields) for row in DRIVERS)) == FIELDS


def test_what_is_not_given_is_never_refused() -> None:
    for row in DRIVERS:
        assert find(BenchRequest(artifacts=[Path("x")], on=row.key)) is row
    with pytest.raises(UsageError, match="`on` is 'tv'; give one of host, android, ios") as refused:
        find(BenchRequest(artifacts=[Path("x")], on="tv"))
    assert refused.value.field == "on"
