"""Core AI assets on simulated iPhones: they are taken whole, and refused before anything is copied to an older iOS."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.bench.drivers.ios.steps import IosJob
from edgekit.bench.drivers.ios.tools import Tools
from edgekit.bench.drivers.table import DRIVERS
from edgekit.bench.protocol import COMPUTE_UNITS
from edgekit.bench.schema import Model
from edgekit.errors import UsageError
from edgekit.support.files import sha256_tree, size_of
from tests.bench.drivers.ios.tools.cases import failure, measure
from tests.bench.drivers.ios.tools.cases import job as job
from tests.bench.drivers.ios.tools.cases import tools as tools
from tests.bench.drivers.ios.tools.cases import world as world
from tests.bench.drivers.ios.tools.world import World


@pytest.fixture
def asset(job: IosJob, tmp_path: Path) -> IosJob:
    """The job of a Core AI asset, a folder as the Core ML package is."""
    model = tmp_path / "files" / "a b.aimodel"
    model.mkdir(parents=True)
    for name in ("main.mlirb", "main.hash", "metadata.json"):
        (model / name).write_bytes(os.urandom(999))
    facts = Model(name="toy", format="coreai", sha256=sha256_tree(model), bytes=size_of(model), input=(4, 4))
    changes = {"model": "model.aimodel", "format": "coreai", "facts": facts, "layout": "nchw"}
    return replace(job, model=model, asked=job.asked.model_copy(update=changes))


def test_an_asset_is_measured_with_each_of_the_compute_units(tools: Tools, world: World, asset: IosJob) -> None:
    phone = world.add(ios="27.0.1")
    outcomes = measure(tools, phone, replace(asset, compute_units=COMPUTE_UNITS))
    results = [one.result for one in outcomes if one.result is not None]
    assert len(results) == 4, [one.error for one in outcomes]
    # What was asked for, in Core AI's words: none but the CPU, or a preference.
    assert [one.runtime.backend for one in results] == ["default", "prefers neuralEngine", "prefers gpu", "cpuOnly"]
    assert [one.compute_units for one in outcomes] == list(COMPUTE_UNITS)
    assert {(one["model"], one["format"], one["layout"]) for one in phone.jobs} == {("model.aimodel", "coreai", "nchw")}
    assert all(one.plan is None for one in outcomes) and all(one.errors == () for one in results)


@pytest.mark.parametrize("version", ["26.4", "18.5", "17.0"])
def test_an_older_ios_is_told_before_anything_is_copied(
    tools: Tools, world: World, asset: IosJob, version: str
) -> None:
    phone = world.add(ios=version)
    told = failure(tools, phone, replace(asset, compute_units=COMPUTE_UNITS))
    assert isinstance(told, UsageError) and told.field == "artifacts"
    said = "Core AI needs iOS 27; update it, or give it a .mlpackage"
    assert str(told) == f"{phone.udid}: has iOS {version}, {said}"
    assert not any(word in call for call in world.calls for word in ("copy", "install", "fsync", "--source"))
    assert phone.jobs == [] and phone.documents == []


def test_an_ios_that_cannot_run_the_app_is_told(tools: Tools, world: World, job: IosJob) -> None:
    phone = world.add(ios="16.7")
    assert str(failure(tools, phone, job)) == f"{phone.udid}: has iOS 16.7, the app needs iOS 17; update it"


@pytest.mark.parametrize("version", [None, "", "next", "128.0"])
def test_a_version_that_says_nothing_leaves_it_to_the_app(
    tools: Tools, world: World, asset: IosJob, version: str | None
) -> None:
    (outcome,) = measure(tools, world.add(ios=version), asset)
    assert outcome.result is not None, outcome.error


def test_what_iphones_take(job: IosJob, asset: IosJob) -> None:
    (row,) = (one for one in DRIVERS if one.key == "ios")
    assert row.formats == (".mlpackage", ".aimodel")
    for model, asked in ((job.model, asset.asked), (asset.model, job.asked)):
        with pytest.raises(UsageError, match=r"iPhones take \.mlpackage and \.aimodel; give one of those") as told:
            replace(job, model=model, asked=asked)
        assert told.value.field == "artifacts"
