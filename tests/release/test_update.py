"""One line says what a new version asks of the search team."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgekit.artifact.manifest import SharedSpace
from edgekit.errors import InputError
from edgekit.evaluation.compatibility import CompatibilityReport, CompatibilityRequest, evaluate_compatibility
from edgekit.evaluation.prices import read_prices
from edgekit.release.bundle import Previous
from edgekit.release.update import Known, advise
from tests.evaluation.made import listings, write
from tests.release.made import checked, measured

BEFORE = Previous(version="1.0.0", space="e16-old")
UPDATE = Known(BEFORE, "2.0.0", "e16-new", listings=100_000_000)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> CompatibilityReport:
    folder = tmp_path_factory.mktemp("spaces")
    values, columns = listings(250, noise=0.7)
    turn = np.linalg.qr(np.random.default_rng(7).standard_normal((16, 16)))[0]
    old = write(folder / "old.parquet", values, columns, space="e16-old")
    new = write(folder / "new.parquet", values @ turn, columns, space="e16-new")
    return evaluate_compatibility(CompatibilityRequest(old, new, resamples=199))


def test_nothing_where_the_space_is_the_same() -> None:
    same = replace(UPDATE, space="e16-old")
    assert advise(same) == "Nothing to do: 2.0.0 is in the same embedding space as 1.0.0 (space e16-old)."
    shared = SharedSpace(kind="compatible", own="e16-new", sha256="0" * 64)
    assert "was measured to serve the same gallery" in advise(replace(same, shared=shared))


def test_the_adapter_where_the_model_ends_in_one() -> None:
    shared = SharedSpace(kind="adapter", own="e32-new", sha256="0" * 64)
    line = advise(replace(UPDATE, space="e16-old", shared=shared))
    assert line.startswith("Use the adapter")
    assert "gallery of 1.0.0" in line


def test_an_index_made_anew_with_its_cost(tmp_path: Path) -> None:
    artifact = checked(tmp_path / "a")
    line = advise(UPDATE)
    assert "embed 100,000,000 listings (give results of a host to see the cost) again" in line
    known = replace(UPDATE, artifacts=(artifact,), results=(measured(artifact, 36.0),), prices=read_prices())
    line = advise(known)
    assert "1,000 core-hours" in line  # 36 ms each
    assert f"{1000 * read_prices().instance[0].price_per_hour / read_prices().instance[0].cores:,.0f} USD" in line
    assert advise(replace(known, prices=None)).count("USD") == 0
    assert "embed the gallery again" in advise(replace(UPDATE, listings=None))


def test_the_adapter_meanwhile_where_it_was_measured_to_serve(report: CompatibilityReport) -> None:
    line = advise(replace(UPDATE, report=report))
    assert line.startswith("Re-index")
    assert "Until then the" in line
    assert "adapter serves" in line


def test_a_report_of_other_models_is_refused(report: CompatibilityReport) -> None:
    with pytest.raises(InputError, match="goes from e16-old to e16-other") as caught:
        advise(replace(UPDATE, space="e16-other", report=report))
    assert caught.value.field == "compatibility"


def test_a_report_that_asks_for_nothing_belongs_into_the_recipe(report: CompatibilityReport) -> None:
    with pytest.raises(InputError, match="serves this model as it is: name it as `compatibility`") as caught:
        advise(replace(UPDATE, report=report.model_copy(update={"reindex": False})))
    assert "\n" not in str(caught.value)


def test_a_report_without_a_previous_release_is_refused(report: CompatibilityReport) -> None:
    with pytest.raises(InputError, match="give the older model's release as `previous`"):
        advise(replace(UPDATE, previous=None, report=report))


def test_a_first_release_in_an_older_space_leaves_its_gallery() -> None:
    shared = SharedSpace(kind="compatible", own="e16-new", sha256="0" * 64)
    line = advise(replace(UPDATE, previous=None, space="e16-old", shared=shared))
    assert "whose gallery stays as it is (space e16-old)" in line


def test_the_first_release_is_told_so() -> None:
    assert advise(replace(UPDATE, previous=None, listings=None)).startswith("First release: embed the gallery with it")
