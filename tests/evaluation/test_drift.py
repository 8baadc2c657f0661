"""Drift between two files: alarms where something changed, seldom otherwise, and names what it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import DriftError, InputError, UsageError
from edgekit.evaluation.drift import FEWEST, DriftRequest, evaluate_drift
from edgekit.evaluation.drift_report import DriftReport
from edgekit.metrics.retrieval import cosine, neighbour_overlap
from tests.evaluation.made import listings, write


def week(folder: Path, name: str, seed: int, shift: float = 0.0, only: str = "", **more: Any) -> Path:
    """Photos of 90 new listings, those of one category moved by `shift`; every name stands for other ids."""
    values, columns = listings(90, seed=seed)
    moved = np.array([only in ("", category) for category in columns["category"]])
    values[:, 0] += shift * moved
    ids = [f"{name}-{number}" for number in range(len(values))]
    return write(folder / f"{name}.parquet", values, columns, **{"ids": ids, **more})


def drift(reference: Path, current: Path, **fields: Any) -> DriftReport:
    return evaluate_drift(DriftRequest(reference, current, **{"permutations": 199, "alpha": 0.05, **fields}))


@pytest.mark.parametrize("distance", ["energy", "mmd"])
def test_it_alarms_where_something_moved(tmp_path: Path, distance: str) -> None:
    report = drift(week(tmp_path, "old", 0), week(tmp_path, "new", 1, shift=1.5), distance=distance)
    (check,) = report.checks
    assert (report.alert, check.drifted, check.p) == (True, True, 1 / 200)
    assert check.statistic is not None
    assert check.limit is not None
    assert check.statistic > check.limit
    assert (check.tested_reference, check.tested_current) == (90, 90)  # one photo of each listing
    with pytest.raises(DriftError, match="the embeddings drifted: all rows") as caught:
        report.raise_for_alert()
    assert caught.value.exit_code == 13


def test_a_fresh_sample_seldom_alarms(tmp_path: Path) -> None:
    """Photos of a listing are alike: as rows of their own they would alarm far more often."""
    alarms = 0
    for seed in range(20):
        old, new = (week(tmp_path, name, 2 * seed + part) for part, name in enumerate(("old", "new")))
        report = drift(old, new, permutations=99, by=["category"])
        alarms += report.alert
        assert report.alert == any(check.drifted for check in report.checks)
    assert alarms <= 3


def test_the_segment_that_moved_is_named(tmp_path: Path) -> None:
    old, new = week(tmp_path, "old", 0), week(tmp_path, "new", 1, shift=3.0, only="hats")
    report = drift(old, new, by=["category"])
    assert {check.name for check in report.checks if check.drifted} == {"all rows", "category=hats"}
    names = ["all rows", "mix of category", "category=bags", "category=hats", "category=shoes"]
    assert [check.name for check in report.checks] == names
    assert report.checks[3].share_current == pytest.approx(1 / 3)
    with pytest.raises(DriftError, match="all rows, category=hats"):
        report.raise_for_alert()


def test_another_mix_is_told_from_the_columns(tmp_path: Path) -> None:
    old = week(tmp_path, "old", 0)
    values, columns = listings(90, seed=1)
    columns["category"] = ["hats" if number < 120 else "bags" for number in range(180)]
    ids = [f"new-{number}" for number in range(180)]
    report = drift(old, write(tmp_path / "new.parquet", values, columns, ids), by=["category"])
    assert [check.name for check in report.checks if check.drifted] == ["mix of category"]
    assert not drift(old, week(tmp_path, "same", 1), by=["category"]).alert


def test_items_of_both_files_by_their_own_change(tmp_path: Path) -> None:
    values, columns = listings(60)
    changed = values.copy()
    changed[7] = -values[7]
    old, new = write(tmp_path / "old.parquet", values, columns), write(tmp_path / "new.parquet", changed, columns)
    report = drift(old, new, worst=2, neighbours=5)
    assert [item.id for item in report.items] == ["photo-7", "photo-0"]
    assert report.items[0].by == pytest.approx(2)
    assert report.items[0].columns["label"] == "listing-3"
    assert report.churn is not None
    assert report.churn.changed == pytest.approx(1 - neighbour_overlap(values, changed, 5))
    assert report.churn.mean_cosine == pytest.approx(cosine(values, changed).mean(), abs=1e-6)
    assert (report.churn.items, report.churn.k) == (120, 5)
    assert not report.alert


def test_new_items_that_lie_apart_come_first(tmp_path: Path) -> None:
    (values, columns), (others, _) = listings(60, photos=1), listings(60, photos=1, seed=1)
    old = write(tmp_path / "old.parquet", values + 3, columns)
    others += 3
    others[[3, 9]] *= -1
    new = write(tmp_path / "new.parquet", others, columns, [f"new-{number}" for number in range(60)])
    report = drift(old, new, worst=2)
    assert {item.id for item in report.items} == {"new-3", "new-9"}
    assert report.churn is None


def test_the_length_of_rows(tmp_path: Path) -> None:
    from pyarrow import FixedSizeListArray, array, parquet, table

    rng = np.random.default_rng(0)
    for name, length in (("old", 1.0), ("new", 1.5)):
        values = rng.standard_normal((40, 4)).astype(np.float32)
        values *= length / np.linalg.norm(values, axis=1, keepdims=True)
        vectors = FixedSizeListArray.from_arrays(array(values.reshape(-1)), 4)
        ids = [f"{name}-{number}" for number in range(40)]
        parquet.write_table(table({"id": ids, "embedding": vectors}), tmp_path / f"{name}.parquet")
    report = drift(tmp_path / "old.parquet", tmp_path / "new.parquet")
    assert report.norms.reference == pytest.approx(1)
    assert report.norms.change == pytest.approx(0.5)
    assert report.alert


def test_at_most_so_many_rows_are_drawn_and_the_same_each_time(tmp_path: Path) -> None:
    old, new = week(tmp_path, "old", 0), week(tmp_path, "new", 1)
    one, two = (drift(old, new, rows=50, by=["style"]).to_json() for _ in range(2))
    assert one == two
    assert DriftReport.model_validate_json(one).checks[0].tested_current == 50


def test_too_few_rows_say_how_many_are_needed(tmp_path: Path) -> None:
    old = week(tmp_path, "old", 0)
    values, columns = listings(12, seed=1)
    few = write(tmp_path / "few.parquet", values, columns)
    with pytest.raises(InputError, match=rf"few.parquet: has 12 listings, .* at least {FEWEST} .* embed 18 more"):
        drift(old, few)
    bare = write(tmp_path / "bare.parquet", values[:5], {})
    with pytest.raises(InputError, match=r"bare.parquet: has 5 rows, .* embed 25 more"):
        drift(bare, old)


def test_segments_with_too_few_rows_are_told_and_not_judged(tmp_path: Path) -> None:
    values, columns = listings(60, photos=1)
    columns["light"] = ["night"] * 8 + ["day"] * 52
    old = write(tmp_path / "old.parquet", values, columns)
    new = write(tmp_path / "new.parquet", values, columns)
    report = drift(old, new, by=["light"], permutations=19)
    night = report.checks[3]
    assert (night.segment, night.p, night.statistic, night.drifted) == ("night", None, None, False)
    assert "light=night (8 and 8)" in report.notes[0]
    assert "only raise an alert with 59 `permutations` or more" in report.notes[1]
    columns["light"] = ["n" * 5000] * 8 + ["d" * 5000] * 52
    old, new = (write(tmp_path / f"{name}.parquet", values + more, columns) for name, more in (("o", 0), ("n", 3)))
    report = drift(old, new, by=["light"])
    with pytest.raises(DriftError) as caught:
        report.raise_for_alert()
    assert "light=ddd" in str(caught.value)
    assert max(map(len, [*report.notes, str(caught.value)])) < 500


def test_files_of_other_models_or_dimensions_are_refused(tmp_path: Path) -> None:
    old, other = week(tmp_path, "old", 0), week(tmp_path, "other", 1, model="other")
    with pytest.raises(InputError, match="is of the model toy"):
        drift(old, other)
    assert drift(old, other, other_models=True).checks
    narrow = write(tmp_path / "narrow.parquet", np.ones((40, 3)), {})
    with pytest.raises(InputError, match=r"of 16 values, .* of 3"):
        drift(old, narrow)
    with pytest.raises(InputError, match="no column light"):
        drift(old, old, by=["light"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("distance", "t"),
        ("alpha", 0),
        ("alpha", float("nan")),
        ("rows", FEWEST - 1),
        ("permutations", 9),
        ("neighbours", 0),
        ("worst", -1),
        ("seed", 0.5),
    ],
)
def test_a_field_that_cannot_be_meant_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        replace(DriftRequest("old.parquet", "new.parquet"), **{field: value})
    assert caught.value.field == field
