"""The Android driver with the app, on simulated devices: a script stands for the app, and writes what the app would."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from edgekit.bench.drivers.android.adb import Adb
from edgekit.bench.drivers.android.job import AndroidJob
from edgekit.bench.golden import Golden
from edgekit.bench.protocol import ACCELERATORS, AppJob
from edgekit.bench.schema import Model, Result
from edgekit.errors import DeviceError, EdgeKitError, InputError
from edgekit.support.files import sha256_file
from tests.bench.drivers.adb_device import Bench, Device, bench
from tests.bench.drivers.android.cases import bench_device, bench_devices
from tests.waiting import PATIENCE

SCHEMA = Result.model_json_schema()
# FAULT is what it does wrong. It reads the job with Python, as the app reads it with a JSON parser.
APP = rf"""
case "$FAULT" in
slow) exec sleep 300 ;;
crashed) echo "INSTRUMENTATION_RESULT: shortMsg=Process crashed."; echo "INSTRUMENTATION_CODE: 0"; exit ;;
told) echo "INSTRUMENTATION_RESULT: error=model.pte: no such operator: export it again"; echo "INSTRUMENTATION_CODE: 0"
  exit ;;
silent) exit ;;
no-gpu) if grep -q '"compute_units": "gpu"' "$1"; then
  echo "INSTRUMENTATION_RESULT: error=model.tflite: cannot load this model: measure it on the CPU"
  echo "INSTRUMENTATION_CODE: 0"
  exit
  fi ;;
esac
{sys.executable} - "$1" <<'END'
import json, os, sys
job = json.load(open(sys.argv[1]))
folder = os.path.join(os.environ["OUT"], "edgekit-" + job["run_id"])
os.makedirs(folder)
fault = os.environ.get("FAULT")
if fault == "missing":
    raise SystemExit
for name in ("model", "inputs", "golden"):
    assert os.path.getsize(os.path.join(os.path.dirname(sys.argv[1]), job[name]))
result = {{
    "schema": "edgekit.bench/1", "run_id": job["run_id"], "started_utc": "1970-01-01T00:00:00Z",
    "tool": {{"edgekit": "0", "runner": "android-app"}}, "model": job["facts"],
    "runtime": {{"name": "executorch", "version": None, "backend": job["compute_units"] or "XNNPACK",
                "threads": job["threads"]}},
    "device": {{"platform": "android", "model": "says the app"}},
    "protocol": {{"warmup": job["warmup"], "min_iterations": job["iterations"], "min_duration_s": job["duration"],
                 "iterations": job["iterations"], "inputs": job["count"]}},
    "latency_ms": {{"cold_load": 40.5, "first": 9.5, "samples": [2.5] * job["iterations"]}},
    "check": {{"images": job["count"], "min_cosine": 0.9999, "max_abs": 0.001, "passed": True}},
    "validity": {{"valid": False, "reasons": ["background"] if fault == "background" else []}},
}}
if fault == "wrong-run":
    result["run_id"] = "0" * 32
with open(os.path.join(folder, job["out"]), "w") as file:
    file.write(json.dumps(result)[: 300 if fault == "truncated" else None])
END
echo "INSTRUMENTATION_RESULT: check=passed"
echo "INSTRUMENTATION_CODE: -1"
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "lab") as made:
        yield made


@pytest.fixture
def job(tmp_path: Path) -> AndroidJob:
    contents = {"we ird';$.pte": b"model" * 999, "app;.apk": APP.encode()}
    golden = Golden(np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 8), np.float32))
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    model, apk = (tmp_path / name for name in contents)
    facts = Model(
        name="toy", format="executorch", sha256=sha256_file(model), bytes=4995, precision="int8", input=(4, 4)
    )
    asked = AppJob(
        run_id="0" * 32, model="model.pte", format="executorch", facts=facts, count=2, height=4, width=4, dim=8,
        layout="nchw", warmup=10, iterations=20, duration=0.0, threads=2,
    )  # fmt: skip
    return AndroidJob(model=model, asked=asked, app=apk, golden=golden, poll_s=0.05)


def measure(lab: Bench, device: Device, job: AndroidJob) -> Result:
    return asyncio.run(bench_device(Adb(server_port=lab.port, serial=device.serial), job))


def assert_clean(lab: Bench, device: Device) -> None:
    assert lab.left([device]) == []
    assert not (device.folder / "installed").exists()
    assert not (device.folder / "running").exists()
    assert device.settings == {"airplane_mode_on": "0"}


def test_the_app_measures_and_nothing_of_it_is_left(lab: Bench, job: AndroidJob) -> None:
    device = lab.add()
    found = measure(lab, device, job)
    jsonschema.validate(json.loads(found.to_json()), SCHEMA)
    assert (found.tool.runner, found.runtime.name, found.runtime.cores) == ("android-app", "executorch", None)
    assert (found.model, found.device.model) == (job.asked.facts, "Fone 7")
    assert (found.latency_ms.p50, found.validity.valid) == (2.5, True)
    assert_clean(lab, device)


@pytest.fixture
def lite(job: AndroidJob) -> AndroidJob:
    """For LiteRT, with each of its accelerators."""
    facts = job.asked.facts.model_copy(update={"format": "litert"})
    asked = job.asked.model_copy(update={"format": "litert", "model": "model.tflite", "facts": facts})
    return replace(job, asked=asked, accelerators=ACCELERATORS)


def test_each_accelerator_is_a_run_of_its_own(lab: Bench, lite: AndroidJob) -> None:
    device = lab.add()
    outcomes = asyncio.run(bench_devices(Adb(server_port=lab.port), lite, [device.serial]))
    found = [outcome.result for outcome in outcomes if outcome.result is not None]
    assert [result.runtime.backend for result in found] == list(ACCELERATORS) == ["cpu", "gpu"]
    assert len({result.run_id for result in found}) == 2 and all(result.validity.valid for result in found)
    assert_clean(lab, device)


def test_an_accelerator_that_does_not_take_the_model_costs_the_other_nothing(lab: Bench, lite: AndroidJob) -> None:
    device = lab.add(FAULT="no-gpu")
    every = replace(lite, accelerators=("gpu", "cpu"))
    gpu, cpu = asyncio.run(bench_devices(Adb(server_port=lab.port), every, [device.serial]))
    assert isinstance(gpu.error, DeviceError) and "measure it on the CPU" in str(gpu.error)
    assert cpu.result is not None and cpu.result.runtime.backend == "cpu" and cpu.result.validity.valid
    assert_clean(lab, device)


def test_the_job_that_arrives_is_what_the_schema_says(lab: Bench, job: AndroidJob) -> None:
    device = lab.add(FAULT="slow")
    kept: list[object] = []

    async def look() -> None:
        running = asyncio.create_task(bench_device(Adb(server_port=lab.port, serial=device.serial), job))
        while not (device.folder / "running").exists():
            await asyncio.sleep(0.02)
        kept.append(json.loads(next(device.data.glob("*/job.json")).read_text()))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(asyncio.wait_for(look(), PATIENCE))
    jsonschema.Draft202012Validator(AppJob.model_json_schema()).validate(kept[0])
    assert AppJob.model_validate(kept[0]).model == "model.pte"
    assert_clean(lab, device)  # and the app that was running is stopped


def test_an_app_that_was_there_stays(lab: Bench, job: AndroidJob) -> None:
    device = lab.add()
    (device.folder / "installed").write_text("an older build")
    measure(lab, device, job)
    assert (device.folder / "installed").exists()


def test_an_app_in_the_background_is_no_measurement(lab: Bench, job: AndroidJob) -> None:
    assert measure(lab, lab.add(FAULT="background"), job).validity.reasons == ("background",)


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        ("crashed", DeviceError, "Process crashed"),
        ("told", DeviceError, "no such operator: export it again"),
        ("silent", DeviceError, "no reason"),
        ("missing", InputError, "result.json"),
        ("wrong-run", InputError, "another run"),
        ("truncated", InputError, "not strict JSON"),
    ],
)
def test_what_goes_wrong_in_the_app_is_one_line(
    lab: Bench, job: AndroidJob, fault: str, kind: type[EdgeKitError], told: str
) -> None:
    device = lab.add(FAULT=fault)
    with pytest.raises(kind, match=told) as caught:
        measure(lab, device, job)
    assert device.serial in str(caught.value) and "\n" not in str(caught.value)
    assert_clean(lab, device)


def test_a_device_that_takes_no_app_says_why(lab: Bench, job: AndroidJob) -> None:
    assert job.app is not None
    job.app.write_text("REFUSED")
    device = lab.add()
    with pytest.raises(DeviceError, match=r"UPDATE_INCOMPATIBLE.*uninstall that first"):
        measure(lab, device, job)
    with pytest.raises(DeviceError) as caught:
        measure(lab, device, job)
    assert "not restored" not in str(caught.value)
    assert lab.left([device]) == []


def test_a_person_s_app_is_not_uninstalled_by_mistake(lab: Bench, job: AndroidJob) -> None:
    device = lab.add(PM="broken")
    (device.folder / "installed").write_text("a person's build")
    with pytest.raises(DeviceError, match="does not report whether the app is installed"):
        measure(lab, device, job)
    assert (device.folder / "installed").read_text() == "a person's build"


def test_a_device_lost_while_the_app_runs_is_put_back_when_it_returns(lab: Bench, job: AndroidJob) -> None:
    devices = [lab.add("drop-run", FAULT="slow"), lab.add()]
    adb = Adb(server_port=lab.port)
    lost, well = asyncio.run(
        bench_devices(adb, replace(job, cleanup_timeout_s=PATIENCE), [one.serial for one in devices])
    )
    assert isinstance(lost.error, DeviceError)
    assert well.result is not None and well.result.validity.valid
    for device in devices:
        assert_clean(lab, device)
