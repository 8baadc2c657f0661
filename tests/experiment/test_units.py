"""Rows of units as moments: by arm and day, of any number of batches, and of clusters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import InputError
from edgekit.experiment import table as tables
from edgekit.experiment.table import open_table
from edgekit.experiment.units import Layout, Sample, read_units
from edgekit.support.progress import Silent
from tests.experiment.tables import shop, write


def sample(path: Path, columns: list[str], **layout: str | None) -> Sample:
    roles: dict[str, Any] = {"arm": "arm", "unit": "unit", "cluster": None, "day": None, **layout}
    return read_units(open_table(path), Layout(**roles), columns, Silent())


@pytest.mark.parametrize("rows", [37, 1 << 16])
def test_the_moments_are_those_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(tables, "_ROWS", rows)
    columns = shop(500)
    found = sample(write(tmp_path / "a.parquet", columns), ["orders", "revenue"], day="date")
    new = columns["arm"] == "new"
    whole = found.of("new")
    assert whole is not None
    assert (found.arms, found.rows, whole.n, len(found.days)) == (("control", "new"), 500, new.sum(), 10)
    np.testing.assert_allclose(whole.mean, [columns["orders"][new].mean(), columns["revenue"][new].mean()])
    early = found.of("new", found.days[3])
    assert early is not None
    until = new & (columns["date"] <= np.datetime64(found.days[3]))
    np.testing.assert_allclose(early.covariance[1, 1], columns["revenue"][until].var(ddof=1))
    assert "orders" not in found.graded
    assert found.graded["revenue"] == (columns["revenue"][0], 1)
    assert found.lowest["revenue"] == (columns["revenue"].min(), columns["revenue"].argmin() + 1)


def test_rows_of_a_cluster_are_added_up(tmp_path: Path) -> None:
    columns = {"user": ["a", "b", "a", "c", "b"], "arm": ["x", "y", "x", "x", "y"], "spent": [1.0, 2.0, 4.0, 8.0, 16.0]}
    found = sample(write(tmp_path / "a.parquet", columns), ["spent"], unit=None, cluster="user")
    part = found.of("x")
    assert part is not None
    assert (part.n, part.mean.tolist()) == (2, [(5 + 8) / 2, (2 + 1) / 2])


def test_an_arm_without_a_name_and_too_many_arms_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no arm"):
        sample(write(tmp_path / "a.parquet", {"unit": [1, 2], "arm": ["a", " "], "x": [1, 2]}), ["x"])
    many = {"unit": range(60), "arm": [f"arm{number}" for number in range(60)], "x": [1.0] * 60}
    with pytest.raises(InputError, match="over 50 arms"):
        sample(write(tmp_path / "b.parquet", many), ["x"])
