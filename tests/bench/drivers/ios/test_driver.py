"""The iOS driver with stand-ins for the programs that reach iPhones: what devices and people do to it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgekit.bench.drivers.base import run
from edgekit.bench.drivers.ios.devicectl import DEVICECTL
from edgekit.bench.drivers.ios.driver import tools_of
from edgekit.bench.drivers.ios.goios import GO_IOS
from edgekit.bench.drivers.ios.steps import IosJob
from edgekit.bench.drivers.ios.tools import Tools
from edgekit.bench.protocol import COMPUTE_UNITS, ComputeUnits
from edgekit.errors import DeviceError, MissingDependencyError, UsageError
from tests.bench.drivers.ios.tools.cases import (
    bench_phones,
    bundle,
    check,
    choose,
    clean,
    failure,
    measure,
    plist,
    running,
)  # fmt: skip
from tests.bench.drivers.ios.tools.cases import job as job
from tests.bench.drivers.ios.tools.cases import tools as tools
from tests.bench.drivers.ios.tools.cases import world as world
from tests.bench.drivers.ios.tools.world import Phone, World
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).parents[4]


def test_embeddings_come_back_with_each_of_the_compute_units(tools: Tools, world: World, job: IosJob) -> None:
    good, short = world.add(), world.add("few-rows")
    asked = job.asked.model_copy(update={"embeddings": "embeddings.bin", "iterations": job.asked.count})
    every = replace(job, asked=asked, compute_units=COMPUTE_UNITS[:2])
    outcomes = run(bench_phones(tools, every, [good.udid, short.udid]))
    clean(tools, [good, short])
    for outcome in outcomes[:2]:
        assert outcome.embeddings is not None, outcome.error
        np.testing.assert_array_equal(outcome.embeddings, job.golden.opened().embeddings)
    for outcome in outcomes[2:]:
        assert outcome.embeddings is None and "embeddings.bin is 8 bytes" in str(outcome.error)
    assert [one.compute_units for one in outcomes] == [*COMPUTE_UNITS[:2]] * 2


def test_a_measurement_with_each_of_the_compute_units(tools: Tools, world: World, job: IosJob) -> None:
    phone, steps = world.add(), list[str]()
    every = replace(job, compute_units=COMPUTE_UNITS)
    outcomes = run(bench_phones(tools, every, run(choose(tools)), say=lambda udid, step: steps.append(step)))
    clean(tools, [phone])
    assert [one.compute_units for one in outcomes] == list(COMPUTE_UNITS)
    assert [one["compute_units"] for one in phone.jobs] == list(COMPUTE_UNITS), [one.error for one in outcomes]
    assert len({one["run_id"] for one in phone.jobs}) == 4
    for outcome in outcomes:
        result = outcome.result
        assert result is not None, outcome.error
        check(result, phone)
        assert result.validity.valid and result.errors == ()
        assert result.runtime.backend == outcome.compute_units
        assert outcome.plan is not None and outcome.plan.per_device == {"neuralEngine": 2, "cpu": 1}
    first = outcomes[0].result
    assert first is not None
    assert (first.tool.runner, first.tool.harness, first.model) == ("ios-app", tools.harness, job.asked.facts)
    assert (first.device.platform, first.device.manufacturer, first.device.os) == ("ios", "Apple", "iOS 18.5")
    assert first.device.model == ("iPhone 15 Pro" if tools is DEVICECTL else "iPhone16,1")
    assert first.device.lab is not None and first.device.lab.provider == tools.provider
    assert first.runtime.name == "Core?[2J ML", "no control characters of a device"
    assert (first.protocol.warmup, first.protocol.inputs, first.protocol.iterations) == (3, 2, 20)
    assert first.latency_ms.p50 and first.latency_ms.p50 > 2, "the app's own median is not taken over"
    assert (first.latency_ms.compile, first.memory_bytes.phys_footprint_peak) == (300.5, 1_000_000)
    assert first.started_utc > "2000" and first.state.before.battery_pct == 80
    rows = [f"{units}: {step}" for units in COMPUTE_UNITS for step in ("copy the job", "measure", "copy the result")]
    assert [step for step in steps if step != "done"] == ["preflight", "install the app", *rows]
    assert sum("install" in call for call in world.calls) == 1


@pytest.mark.parametrize(
    "fault, said",
    [
        ("untrusted", "does not trust this computer; unlock it, tap Trust"),
        ("no-developer-mode", "Developer Mode is off; turn it on in Settings"),
        ("untrusted-developer", "VPN & Device Management"),
        ("locks-itself", "locked; unlock it"),
        ("full", "no space left on the device"),
        ("lost-copy", r"lost or not connected; check the cable \(while copying the job to it\)"),
        ("lost-test", r"lost or not connected; check the cable \(while measuring\)"),
        ("lost-fetch", r"lost or not connected; check the cable \(while copying result.json from it\)"),
        ("test-fails", r"failed while measuring \(failed - model.mlpackage: cannot be compiled; export it again\)"),
    ],
)
def test_a_bad_phone_is_told_and_cleaned_up(tools: Tools, world: World, job: IosJob, fault: str, said: str) -> None:
    told = failure(tools, world.add(fault), job)
    assert isinstance(told, DeviceError) and "not restored" not in str(told)
    assert re.search(said, str(told)), told


def test_a_locked_phone_is_told_before_anything_is_copied(world: World, job: IosJob) -> None:
    phone = world.add("locked")
    assert "locked; unlock it, and keep it unlocked" in str(failure(DEVICECTL, phone, job))
    assert not any("copy" in call or "install" in call for call in world.calls)


@pytest.mark.parametrize("fault, step", [("hang-ask", "asking what it is"), ("hang-copy", "copying the job to it")])
def test_a_silent_phone(tools: Tools, world: World, job: IosJob, fault: str, step: str) -> None:
    told = failure(tools, world.add(fault), replace(job, step_timeout_s=1.0, copy_timeout_s=1.0, cleanup_timeout_s=1.0))
    assert f"not finished after 1 s while {step}" in str(told)


@pytest.mark.parametrize("fault", ["hang-test", "stubborn-test"])
def test_a_test_that_never_ends(
    tools: Tools, world: World, job: IosJob, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit.bench.drivers.program._GRACE", 0.5)
    phone = world.add(fault)
    told = failure(tools, phone, replace(job, run_timeout_s=2.0))
    assert "not finished after 2 s while measuring" in str(told)
    assert not running(phone)
    assert [call[1] for call in world.calls].count("kill") == (tools is GO_IOS)


def test_a_program_that_leaves_a_server_behind(
    tools: Tools, world: World, job: IosJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit.bench.drivers.program._GRACE", 0.2)
    started = time.monotonic()
    (outcome,) = measure(tools, world.add("leaves-a-server"), job)
    assert outcome.result is not None, outcome.error
    assert time.monotonic() - started < 250  # the server sleeps for 300


def test_a_phone_that_stays_away_is_said_to_hold_the_job(tools: Tools, world: World, job: IosJob) -> None:
    phone = world.add("gone-test")
    (outcome,) = asyncio.run(bench_phones(tools, replace(job, cleanup_timeout_s=1.0), [phone.udid]))
    assert isinstance(outcome.error, DeviceError)
    assert "lost or not connected" in str(outcome.error)
    assert str(outcome.error).endswith("; not restored on the device: the job in the app's documents")


def test_one_setting_that_fails_does_not_spoil_the_others(tools: Tools, world: World, job: IosJob) -> None:
    units: tuple[ComputeUnits, ...] = ("all", "cpuOnly", "cpuAndGPU")
    lost, done, again = measure(tools, world.add("lost-test"), replace(job, compute_units=units))
    assert isinstance(lost.error, DeviceError) and lost.compute_units == "all"
    assert done.result and again.result and (done.compute_units, again.compute_units) == ("cpuOnly", "cpuAndGPU")
    phone = world.add("gone-test")
    job = replace(job, compute_units=units, cleanup_timeout_s=0.5)
    outcomes = asyncio.run(bench_phones(tools, job, [phone.udid]))
    assert [one.compute_units for one in outcomes] == ["all", "cpuOnly"], "a phone that is gone is not tried again"
    assert all(isinstance(one.error, DeviceError) for one in outcomes)


def test_several_phones_some_of_them_failing(tools: Tools, world: World, job: IosJob) -> None:
    faults = ["", "full", "test-fails", "", "truncated", "untrusted", "wrong-run", ""]
    phones = [world.add(*([fault] if fault else [])) for fault in faults]
    outcomes = run(bench_phones(tools, job, run(choose(tools, every=True))))
    assert [one.serial for one in outcomes] == [phone.udid for phone in phones]
    assert [one.result is not None for one in outcomes] == [not fault for fault in faults]
    assert len({one.result.run_id for one in outcomes if one.result}) == 3
    clean(tools, phones)


def test_who_is_measured(tools: Tools, world: World) -> None:
    def chosen(*udids: str, every: bool = False) -> list[str]:
        return asyncio.run(choose(tools, udids, every=every))

    with pytest.raises(UsageError, match="no iPhone is connected"):
        chosen()
    one = world.add()
    world.add("gone")
    for hostile in ("x\";touch PWNED;'", "$(touch PWNED)", "a\nb", "-x", "id=1,name=x", "", 7, None):
        world.add(shown=hostile)
    assert chosen() == [one.udid]
    two = world.add()
    with pytest.raises(UsageError, match="2 devices are connected; choose by `serials` or `all_devices`") as told:
        chosen()
    assert one.udid in str(told.value) and two.udid in str(told.value) and str(told.value).isprintable()
    assert chosen(every=True) == [one.udid, two.udid]
    assert chosen(two.udid, two.udid) == [two.udid]
    for udid in ("nope", "$(touch PWNED)", "a\nb", "", f"{one.udid},name=x"):
        with pytest.raises(UsageError, match="no device") as told:
            chosen(udid)
        assert str(told.value).isprintable()


def test_a_watch_is_no_phone(world: World) -> None:
    world.add(platform="watchOS")
    with pytest.raises(UsageError, match="no iPhone is connected"):
        asyncio.run(choose(DEVICECTL))


def test_a_program_that_is_not_there(
    tools: Tools, world: World, job: IosJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    phone = world.add()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    said = "install Xcode 15" if tools is DEVICECTL else "npm install -g go-ios"
    with pytest.raises(MissingDependencyError, match=said):
        asyncio.run(choose(tools))
    (outcome,) = asyncio.run(bench_phones(tools, job, [phone.udid]))
    assert isinstance(outcome.error, MissingDependencyError)


def test_command_line_tools_are_not_xcode(world: World) -> None:
    (world.folder / "no-xcode").touch()
    with pytest.raises(MissingDependencyError, match=r"unable to find utility .*; install Xcode 15"):
        asyncio.run(choose(DEVICECTL))


def test_a_host_that_reaches_no_iphones() -> None:
    assert (tools_of("darwin"), tools_of("linux")) == (DEVICECTL, GO_IOS)
    with pytest.raises(UsageError, match="macOS or Linux"):
        tools_of("win32")


def test_an_app_under_another_name_is_the_one_that_is_used(tools: Tools, world: World, job: IosJob) -> None:
    """Apple gives an identifier to one team only, so that others build the app under their own."""
    plist(job.app).write_bytes(bundle("org.example.bench"))
    if tools is GO_IOS:
        assert not any("dev.edgekit.bench" in word for word in tools.stopping("0" * 40, "org.example.bench")[0])
    (outcome,) = measure(tools, world.add(), job)
    assert outcome.result is not None, outcome.error
    assert not any("dev.edgekit" in word for call in world.calls for word in call)


def test_cancelling_at_any_step_leaves_nothing(tools: Tools, world: World, job: IosJob) -> None:
    async def cancelled(phone: Phone, step: str) -> None:
        def say(udid: str, now: str) -> None:
            if now == step:
                for delay in (0.05, 0.1):  # a second time, as the impatient do
                    asyncio.get_running_loop().call_later(delay, task.cancel)

        task = asyncio.ensure_future(bench_phones(tools, job, [phone.udid], say=say))
        await asyncio.wait([task])
        assert task.cancelled(), step

    for step in ("preflight", "install the app", "all: copy the job", "all: measure", "all: copy the result"):
        phone = world.add(*(["hang-test"] if step == "all: measure" else []))
        asyncio.run(cancelled(phone, step))
        clean(tools, [phone])
        assert not running(phone)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_removes_the_job(tools: Tools, world: World, job: IosJob, number: int) -> None:
    phone = world.add("hang-test")
    (world.folder / "asked.json").write_text(json.dumps(job.asked.model_dump(mode="json")))
    code = f"""
        from pathlib import Path
        import numpy as np
        from edgekit.support import interrupt
        from edgekit.bench.protocol import AppJob
        from edgekit.bench.golden import Golden
        from edgekit.bench.drivers.base import run
        from edgekit.bench.drivers.ios.driver import tools_of
        from edgekit.bench.drivers.ios.steps import IosJob
        from tests.bench.drivers.ios.tools.cases import bench_phones
        interrupt.listen()
        asked = AppJob.model_validate_json(Path({str(world.folder / "asked.json")!r}).read_text())
        golden = Golden(np.zeros((2, 4, 4, 3), np.uint8), np.ones((2, 8), np.float32))
        job = IosJob(model=Path({str(job.model)!r}), golden=golden, asked=asked, app=Path({str(job.app)!r}))
        try:
            tools = tools_of({"darwin" if tools is DEVICECTL else "linux"!r})
            run(bench_phones(tools, job, [{phone.udid!r}]))
        except KeyboardInterrupt:
            raise SystemExit(130)
    """
    driver = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, start_new_session=True)
    try:
        until(lambda: running(phone), driver)
        os.killpg(driver.pid, number)  # as a terminal does, to the group
        assert driver.wait(PATIENCE) == 130
    finally:
        driver.kill()
        driver.wait()
    clean(tools, [phone])
    assert not running(phone)
