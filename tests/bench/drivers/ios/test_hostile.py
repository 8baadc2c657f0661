"""The iOS driver reads what devices, apps and builds say as if it were hostile."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.bench.drivers.ios.app import find_products
from edgekit.bench.drivers.ios.compute_plan import read_compute_plan
from edgekit.bench.drivers.ios.devicectl import DEVICECTL
from edgekit.bench.drivers.ios.steps import IosJob
from edgekit.bench.drivers.ios.tools import Tools
from edgekit.bench.golden import Golden
from edgekit.bench.protocol import COMPUTE_UNITS, compute_units_of
from edgekit.errors import InputError, IntegrityError, UsageError
from edgekit.support.files import sha256_tree
from tests.bench.drivers.ios.tools.cases import bench_phones, bundle, choose, failure, measure, plist
from tests.bench.drivers.ios.tools.cases import job as job
from tests.bench.drivers.ios.tools.cases import tools as tools
from tests.bench.drivers.ios.tools.cases import world as world
from tests.bench.drivers.ios.tools.world import World, products


@pytest.mark.parametrize(
    "fault, reasons",
    [
        ("few", ("few-samples",)),
        ("drift", ("throttled",)),
        ("wrong-output", ("wrong-output",)),
        ("background", ("background",)),
        ("low-power", ("low-power",)),
    ],
)
def test_what_makes_a_result_not_valid(world: World, job: IosJob, fault: str, reasons: tuple[str, ...]) -> None:
    (outcome,) = measure(DEVICECTL, world.add(fault), job)
    assert outcome.result is not None and outcome.result.validity.reasons == reasons, outcome.error


@pytest.mark.parametrize("fault", ["missing", "directory", "endless-fetch"])
def test_no_result_is_told_and_cleaned_up(tools: Tools, world: World, job: IosJob, fault: str) -> None:
    said = {
        "missing": "the app wrote no result.json",
        "directory": "result.json is not a regular file",
        "endless-fetch": "over 17408 KiB while copying result.json from it, more than is read",
    }
    told = failure(tools, world.add(fault), job)
    assert isinstance(told, InputError) and said[fault] in str(told), told


@pytest.mark.parametrize(
    "fault, said",
    [
        ("link", "result.json is not a regular file"),
        ("truncated", "result.json: not strict JSON"),
        ("huge", "over 17408 KiB|result.json: over 16 MiB"),
        ("deep", "result.json: (not strict JSON|nested)"),
        ("nan", "NaN is not a JSON number"),
        ("wrong-run", "result.json is of another run"),
        ("wrong-model", "result.json is of another model"),
        ("wrong-platform", "result.json is of another platform"),
    ],
)
def test_a_hostile_result_is_told_and_cleaned_up(world: World, job: IosJob, fault: str, said: str) -> None:
    told = failure(DEVICECTL, world.add(fault), job)
    assert isinstance(told, InputError) and re.search(said, str(told)), told


@pytest.mark.parametrize("fault", ["plan-none", "plan-odd", "plan-many", "plan-wide", "plan-old"])
def test_a_plan_is_read_as_hostile(world: World, job: IosJob, fault: str) -> None:
    (outcome,) = measure(DEVICECTL, world.add(fault), job)
    assert outcome.result is not None and outcome.result.validity.valid
    assert outcome.plan is None
    assert [("compute-plan.json" in line and line.isprintable()) for line in outcome.result.errors] == (
        [] if fault == "plan-none" else [True]
    )


def test_plans(tmp_path: Path) -> None:
    path = tmp_path / "compute-plan.json"
    plan: dict[str, object] = {"schema": "edgekit.compute-plan/1", "run_id": "0" * 32}
    plan |= {"compute_units": "all", "operators": []}
    path.write_text(json.dumps(plan))
    assert read_compute_plan(path).per_device == {}
    wrong = ({"schema": "edgekit.compute-plan/2"}, {"run_id": "x"}, {"compute_units": "tpu"}, {"operators": None})
    for text in ("[]", "{" * 9999, *(json.dumps(plan | one) for one in wrong)):
        path.write_text(text)
        with pytest.raises(InputError):
            read_compute_plan(path)
    rows = [{"preferred": "cpu"}, *({"type": "x"} | one for one in ({"cost": -1}, {"more": 1}, {"name": "x" * 501}))]
    for row in (*rows, {"type": "x", "supported": ["cpu"] * 9}, {"type": "x", "supported": ["tpu"]}, 7):
        path.write_text(json.dumps(plan | {"operators": [row]}))
        with pytest.raises(InputError):
            read_compute_plan(path)


def test_what_an_app_says_is_safe_on_a_terminal(tools: Tools, world: World, job: IosJob) -> None:
    (outcome,) = measure(tools, world.add("escape", "talkative"), job)
    assert outcome.result is not None and outcome.result.errors == ("?[2J x",)


def test_a_udid_is_never_part_of_a_command(tools: Tools, world: World, job: IosJob) -> None:
    for udid in ("x\";touch PWNED;'", "a\nb", "--help", "1,name=x"):
        (outcome,) = asyncio.run(bench_phones(tools, job, [udid]))
        assert isinstance(outcome.error, UsageError) and str(outcome.error).isprintable()
    assert world.calls == []


def test_programs_that_say_nothing_sensible(tools: Tools, world: World, job: IosJob) -> None:
    phone = world.add()
    (world.folder / "garbage").touch()
    with pytest.raises(InputError, match=r"its list of devices: not strict JSON") as told:
        asyncio.run(choose(tools))
    assert str(told.value).isprintable()
    if tools is DEVICECTL:
        assert "answer 1: not strict JSON" in str(failure(tools, phone, job))


def test_a_job_that_cannot_be(tools: Tools, world: World, job: IosJob, tmp_path: Path) -> None:
    phone = world.add()
    (job.model / "Data/weight.bin").write_bytes(os.urandom(9999))
    (changed,) = asyncio.run(bench_phones(tools, job, [phone.udid]))
    assert isinstance(changed.error, IntegrityError) and "has changed since it was opened" in str(changed.error)
    facts = job.asked.facts.model_copy(update={"sha256": sha256_tree(job.model)})
    job = replace(job, asked=job.asked.model_copy(update={"facts": facts}))
    with pytest.raises(InputError, match="do not have the sizes that the job says"):
        replace(job, golden=Golden(job.golden.opened().images[:1], job.golden.opened().embeddings))
    with pytest.raises(UsageError, match="`compute_units` are gpu; give some of all,"):
        compute_units_of(["gpu"], COMPUTE_UNITS)
    with pytest.raises(UsageError, match=r"iPhones take \.mlpackage and \.aimodel"):
        replace(job, model=tmp_path / "m.onnx")
    assert world.calls == []


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda folder: folder.rename(folder.with_name("other")), "no such folder for `app`"),
        (lambda folder: next(folder.glob("*.xctestrun")).unlink(), r"no \.xctestrun file"),
        (lambda folder: (folder / "B_iphoneos.xctestrun").touch(), r"2 \.xctestrun file"),
        (lambda folder: (folder / "Release-iphoneos").rename(folder / "Release-iphonesimulator"), "no app for phones"),
        (lambda folder: products(folder / "b-iphoneos"), None),
        (lambda folder: plist(folder).unlink(), "cannot be read as a property list"),
        (lambda folder: plist(folder).write_bytes(b"<plist>&x;"), "cannot be read as a property list"),
        (lambda folder: plist(folder).write_bytes(b"bplist00\xff"), "cannot be read as a property list"),
        (lambda folder: plist(folder).write_bytes(b"<plist><array/></plist>"), "has no bundle identifier"),
        (lambda folder: plist(folder).write_bytes(bundle("a b;'")), "has no bundle identifier"),
        (lambda folder: plist(folder).write_bytes(bundle("-x")), "has no bundle identifier"),
        (lambda folder: plist(folder).write_bytes(bundle("org.example.my-bench")), None),
    ],
)
def test_what_xcode_built(job: IosJob, change: Callable[[Path], object], said: str | None) -> None:
    change(job.app)
    if said is None:
        assert find_products(job.app).bundle in ("dev.edgekit.bench", "org.example.my-bench")
        return
    with pytest.raises(InputError, match=said) as told:
        find_products(job.app)
    assert len(str(told.value).splitlines()) == 1
