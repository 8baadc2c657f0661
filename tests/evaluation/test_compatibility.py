"""An old gallery and a new model: the verdict follows recall, and adapters are judged on what they never saw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from edgekit.errors import InputError, UsageError
from edgekit.evaluation.compatibility import CompatibilityReport, CompatibilityRequest, evaluate_compatibility
from edgekit.metrics import retrieval
from edgekit.model.adapter import read_adapter
from tests.evaluation.made import listings, write

VALUES, COLUMNS = listings(250, noise=0.7)
TURN = np.linalg.qr(np.random.default_rng(7).standard_normal((16, 16)))[0]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write(tmp_path / "old.parquet", VALUES, COLUMNS, model="old")


def judged(old: Path, new: np.ndarray, **fields: Any) -> CompatibilityReport:
    current = write(old.parent / "new.parquet", new, COLUMNS, model="new")
    return evaluate_compatibility(CompatibilityRequest(old, current, **{"resamples": 499, **fields}))


def test_a_turned_space_needs_an_adapter_which_then_serves(old: Path, tmp_path: Path) -> None:
    report = judged(old, VALUES @ TURN, adapter=tmp_path / "adapter.safetensors")
    recall = {way.name: way.recall.value for way in report.ways}
    assert list(recall) == ["old", "new", "unchanged", "procrustes", "least_squares"]
    assert recall["new"] == recall["old"] > 0.8
    assert recall["unchanged"] < 0.3
    assert recall[report.chosen] == pytest.approx(recall["old"], abs=0.01)
    assert (report.reindex, report.adapter_serves, report.written) == (True, True, "adapter.safetensors")
    assert "must be embedded again" in report.verdict
    assert "serves meanwhile" in report.verdict
    assert load_file(tmp_path / "adapter.safetensors")["weight"] == pytest.approx(TURN, abs=0.02)
    assert (report.pairs, report.learned_from) == (500, 250)
    assert CompatibilityReport.model_validate_json(report.to_json()) == report


def test_spaces_are_in_the_report_and_in_the_adapter(tmp_path: Path) -> None:
    old = write(tmp_path / "old.parquet", VALUES, COLUMNS, model="old", space="e16-old")
    new = write(tmp_path / "new.parquet", VALUES @ TURN, COLUMNS, model="new", space="e16-new")
    adapter = tmp_path / "adapter.safetensors"
    report = evaluate_compatibility(CompatibilityRequest(old, new, adapter=adapter, resamples=499))
    assert report.old is not None and report.new is not None
    assert (report.old.space, report.new.space) == ("e16-old", "e16-new")
    assert read_adapter(adapter, 16, report.new.sha256).old_space == "e16-old"


def test_an_adapter_that_does_not_serve_leads_to_no_older_space(tmp_path: Path) -> None:
    old = write(tmp_path / "old.parquet", VALUES, COLUMNS, model="old", space="e16-old")
    noise = np.random.default_rng(5).standard_normal(VALUES.shape)
    new = write(tmp_path / "new.parquet", noise, COLUMNS, model="new", space="e16-new")
    adapter = tmp_path / "adapter.safetensors"
    report = evaluate_compatibility(CompatibilityRequest(old, new, adapter=adapter, resamples=499))
    assert report.new is not None and not report.adapter_serves
    assert read_adapter(adapter, 16, report.new.sha256).old_space is None


def test_the_same_space_need_not_be_indexed_again(old: Path) -> None:
    report = judged(old, VALUES + 0.01 * np.random.default_rng(3).standard_normal(VALUES.shape), max_drop=0.02)
    assert not report.reindex
    assert "need not be embedded again" in report.verdict
    assert report.written is None


def test_recall_is_that_of_all_rows_as_the_gallery(old: Path) -> None:
    """One relevant item a query: the recall of the old model over all queries is near that of the part that judges."""
    report = judged(old, VALUES)
    wanted = retrieval.recall(VALUES, VALUES, COLUMNS["label"], COLUMNS["label"], exclude_self=True)
    assert report.ways[0].recall.low <= wanted.at[10] <= report.ways[0].recall.high
    assert report.queries == 150


def test_another_space_altogether_is_served_by_no_adapter(old: Path) -> None:
    report = judged(old, np.random.default_rng(5).standard_normal(VALUES.shape))
    assert (report.reindex, report.adapter_serves) == (True, False)
    assert "less than the old model finds" in report.verdict


def test_a_class_that_k_places_cannot_hold_is_judged_by_what_they_can(tmp_path: Path) -> None:
    """Of 250 photos of a class ten places hold four in a hundred, so that one point is a quarter of all there is."""
    columns = {"label": [f"class-{number % 2}" for number in range(500)]}
    rng = np.random.default_rng(3)
    values = rng.standard_normal((2, 16))[np.arange(500) % 2] + 0.3 * rng.standard_normal((500, 16))
    worse = np.where(np.arange(500)[:, None] % 10 < 2, rng.standard_normal((500, 16)), values)
    old = write(tmp_path / "old.parquet", values, columns)
    new = write(tmp_path / "new.parquet", worse, columns)
    report = evaluate_compatibility(CompatibilityRequest(old, new, resamples=499))
    unchanged = next(way for way in report.ways if way.name == "unchanged")
    assert unchanged.change is not None
    assert -0.01 < unchanged.change.low < unchanged.change.high < 0
    assert report.reindex
    assert not evaluate_compatibility(CompatibilityRequest(old, old, resamples=499)).reindex


def test_other_dimensions_fit_only_through_an_adapter(old: Path) -> None:
    report = judged(old, VALUES[:, :12])
    assert "unchanged" not in [way.name for way in report.ways]
    assert report.reindex
    assert "do not fit it at all" in report.verdict


def test_the_same_input_gives_the_same_bytes(old: Path) -> None:
    assert judged(old, VALUES @ TURN).to_json() == judged(old, VALUES @ TURN).to_json()


def test_files_that_have_too_little_in_common(old: Path, tmp_path: Path) -> None:
    few = write(tmp_path / "few.parquet", VALUES[:60], {name: texts[:60] for name, texts in COLUMNS.items()})
    with pytest.raises(InputError, match="have 30 listings in common, at least 100 are needed"):
        evaluate_compatibility(CompatibilityRequest(old, few))
    bare = write(tmp_path / "bare.parquet", VALUES, {})
    with pytest.raises(InputError, match=r"bare.parquet: has no column label"):
        evaluate_compatibility(CompatibilityRequest(bare, old))
    alone = write(tmp_path / "alone.parquet", VALUES, {"label": [str(number) for number in range(500)]})
    with pytest.raises(InputError, match="hardly any label is there twice"):
        evaluate_compatibility(CompatibilityRequest(alone, alone))


@pytest.mark.parametrize(("field", "value"), [("k", 0), ("max_drop", 2), ("resamples", 1), ("seed", -1)])
def test_a_field_that_cannot_be_meant_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        replace(CompatibilityRequest("old.parquet", "new.parquet"), **{field: value})
    assert caught.value.field == field
