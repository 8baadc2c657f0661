"""The Android driver with the real adb client: what devices and people do to it, one by one and all at once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import psutil
import pytest

from edgekit.bench.drivers.android.adb import Adb
from edgekit.bench.drivers.android.job import AndroidJob
from edgekit.bench.drivers.base import Outcome, run
from edgekit.bench.golden import Golden
from edgekit.bench.protocol import AppJob
from edgekit.bench.schema import Model, Result
from edgekit.errors import DeviceError, InputError, IntegrityError, MissingDependencyError, UsageError
from edgekit.support.files import sha256_file
from tests.bench.drivers.adb_device import Bench, Device, bench, clients
from tests.bench.drivers.android.cases import bench_device, bench_devices, choose
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).parents[4]
SCHEMA = Result.model_json_schema()
NAME = "we ird'\"; $(touch PWNED)\n.onnx"
# Keeps to the native runner's command line. RESULT is what it does wrong.
RUNNER = r"""#!/bin/sh
while [ $# -gt 1 ]; do
  case "$1" in
  --run-id) run=$2 ;; --model-sha256) sha=$2 ;; --out) out=$2 ;; --model) model=$2 ;; --library) library=$2 ;;
  --inputs) inputs=$2 ;; --golden) golden=$2 ;; --layout | --threads | --duration | --warmup | --iterations) ;;
  --count | --height | --width | --dim | --min-cosine | --format) ;;
  *) echo "unknown $1" >&2; exit 2 ;;
  esac
  shift 2
done
for file in "$model" "$library" "$inputs" "$golden"; do [ -s "$file" ] || { echo "no $file" >&2; exit 2; }; done
samples=2.5; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do samples="$samples, 2.5$i"; done
cosine=0.999; passed=true; errors=""
case "$RESULT" in
slow) exec sleep 300 ;;
fails) echo "the runtime said no" >&2; exit 3 ;;
missing) exit 0 ;;
corrupt) printf '\377\376{' >"$out"; exit 0 ;;
huge) head -c 20000000 /dev/zero >"$out"; exit 0 ;;
deep) head -c 9000 /dev/zero | tr '\0' '[' >"$out"; exit 0 ;;
very-deep) head -c 900000 /dev/zero | tr '\0' '[' >"$out"; exit 0 ;;
many) { echo '{"schema": "edgekit.bench/1", "x": [0'; yes ,0 | head -c 900000; echo ']}'; } >"$out"; exit 0 ;;
directory) mkdir "$out"; exit 0 ;;
nan) samples="NaN" ;;
infinite) samples="1e999" ;;
wrong-hash) sha=$(printf '%064d' 0) ;;
wrong-run) run=$(printf '%032d' 0) ;;
wrong-output) cosine=0.5 ;;
few) samples="2.5" ;;
drift) samples="1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2" ;;
escape) errors='"\u001b[2J\nx"' ;;
hot) sed -i 's/Status: 0/Status: 3/' "$DEVICE/dumpsys.thermalservice" ;;
esac
cat >"$out" <<END
{"schema": "edgekit.bench/1", "run_id": "$run", "started_utc": "1970-01-01T00:00:00Z",
 "tool": {"edgekit": "0", "runner": "android-native"},
 "model": {"name": "m", "format": "onnx", "sha256": "$sha", "bytes": 1, "input": [4, 4]},
 "runtime": {"name": "onnxruntime", "version": "1.23.0", "backend": "CPUExecutionProvider", "threads": 9},
 "device": {"platform": "android"}, "errors": [$errors],
 "protocol": {"warmup": 0, "min_iterations": 1, "min_duration_s": 0, "iterations": 1, "inputs": 1},
 "latency_ms": {"cold_load": 40.5, "first": 9.5, "samples": [$samples], "p50": 0.001},
 "memory_bytes": {"peak_rss": 1000000},
 "check": {"images": 2, "min_cosine": $cosine, "max_abs": 0.001, "passed": $passed}, "validity": {"valid": true}}
END
[ "$RESULT" != truncated ] || { head -c 300 "$out" >part; mv part "$out"; }
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        yield made


@pytest.fixture
def job(tmp_path: Path) -> AndroidJob:
    contents = {
        NAME: os.urandom(300_000),
        "lib rary.so": os.urandom(200_000),
        "run;ner": RUNNER.encode(),
    }
    (tmp_path / "files").mkdir()
    paths = {name: tmp_path / "files" / name for name in contents}
    for name, data in contents.items():
        paths[name].write_bytes(data)
    facts = Model(
        name="toy", format="onnx", sha256=sha256_file(paths[NAME]), bytes=300_000, precision="fp32", input=(4, 4)
    )
    asked = AppJob(
        run_id="0" * 32, model="model.onnx", format="onnx", facts=facts, count=2, height=4, width=4, dim=8,
        layout="nchw", warmup=10, iterations=20, duration=0.0, threads=2,
    )  # fmt: skip
    return AndroidJob(
        model=paths[NAME],
        asked=asked,
        golden=Golden(np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 8), np.float32)),
        runner=paths["run;ner"],
        library=paths["lib rary.so"],
        poll_s=0.05,
        cooldown_timeout_s=60.0,
    )


def measure(lab: Bench, device: Device, job: AndroidJob) -> Result:
    """On one device; the result is one that the schema allows, and nothing is left."""
    result = asyncio.run(bench_device(Adb(server_port=lab.port, serial=device.serial), job))
    jsonschema.validate(json.loads(result.to_json()), SCHEMA)
    clean(lab, [device])
    return result


def clean(lab: Bench, devices: Sequence[Device]) -> None:
    """No file, process or setting is left as it was not before."""
    assert lab.left(devices) == []
    for device in devices:
        assert device.settings == {"airplane_mode_on": "0"}
        assert not running(device)


def running(device: Device) -> list[psutil.Process]:
    """Processes that were started in the device's run folders."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd().startswith(str(device.data)):
                found.append(process)
    return found


def test_a_measurement(lab: Bench, job: AndroidJob) -> None:
    device = lab.add()
    steps: list[str] = []
    adb = Adb(server_port=lab.port, serial=device.serial)
    result = asyncio.run(bench_device(adb, job, say=lambda serial, step: steps.append(step)))
    jsonschema.validate(json.loads(result.to_json()), SCHEMA)
    clean(lab, [device])
    assert result.validity.valid and result.errors == ()
    assert result.device.model_dump(include={"manufacturer", "model", "soc", "os", "api", "abi", "emulated"}) == {
        "manufacturer": "Acme",
        "model": "Fone 7",
        "soc": "AC700",
        "os": "Android 14",
        "api": 34,
        "abi": "arm64-v8a",
        "emulated": False,
    }
    assert (
        result.device.cores is not None
        and [core.max_khz for core in result.device.cores] == [1800000] * 2 + [2400000] * 2
    )
    assert result.device.ram_bytes and result.device.lab and device.serial not in result.to_json()
    assert (result.tool.runner, result.tool.harness, result.model) == ("android-native", "adb", job.asked.facts)
    assert (result.runtime.cores, result.runtime.threads, result.runtime.version) == ((2, 3), 2, "1.23.0")
    assert (device.folder / "mask").read_text() == "c\n"
    assert result.protocol.iterations == len(result.latency_ms.samples) == 20
    assert (result.protocol.inputs, result.protocol.screen_on, result.protocol.airplane) == (2, True, False)
    before = result.state.before
    assert (before.thermal_status, before.temperature_c, before.battery_pct) == (0, 31.25, 80)
    assert (before.charging, before.low_power, result.latency_ms.cold_load) == (False, False, 40.5)
    assert before.core_khz == {"0": 1800000, "1": 1800000, "2": 2400000, "3": 2400000}
    assert result.latency_ms.p50 and result.latency_ms.p50 > 2, "the runner's own median is not taken over"
    assert result.started_utc > "2000"
    assert [step for step in steps if not step.startswith("push")] == [
        "preflight",
        "cool down",
        "measure",
        "putting it back",
        "done",
    ]
    assert any("svc power stayon true" in command for command in device.commands)
    assert not any("PWNED" in command or "ird" in command for command in device.commands)
    assert not list(lab.folder.parent.rglob("PWNED"))


def test_settings_that_were_set_are_set_again(lab: Bench, job: AndroidJob) -> None:
    device = lab.add()
    (device.folder / "settings/stay_on_while_plugged_in").write_text("3\n")
    (device.folder / "settings/airplane_mode_on").write_text("0\n")
    adb = Adb(server_port=lab.port, serial=device.serial)
    result = asyncio.run(bench_device(adb, replace(job, airplane=True)))
    assert result.protocol.airplane is True
    assert device.settings == {"stay_on_while_plugged_in": "3", "airplane_mode_on": "0"}
    (device.folder / "settings/airplane_mode_on").write_text("1\n")
    commands = len(device.commands)
    result = asyncio.run(bench_device(adb, replace(job, airplane=True, stay_awake=False)))
    assert device.settings == {"stay_on_while_plugged_in": "3", "airplane_mode_on": "1"}
    assert not any("stayon" in command or "connectivity" in command for command in device.commands[commands:])


def test_airplane_mode_is_not_for_devices_on_the_network(lab: Bench, job: AndroidJob) -> None:
    device = lab.add(host="127.0.0.2")
    with pytest.raises(DeviceError, match="use a cable"):
        measure(lab, device, replace(job, airplane=True))
    clean(lab, [device])


@pytest.mark.parametrize(
    "change, reasons",
    [
        (lambda device: device.props(ro_kernel_qemu="1"), ("emulated",)),
        (lambda device: device.props(ro_boot_qemu="1"), ("emulated",)),
        (lambda device: device.battery(level=9), ("low-battery",)),
        (lambda device: device.battery(level=9, status=2), ()),
        (lambda device: device.thermal(status=2), ("hot",)),
        (lambda device: device.environment.update(RESULT="hot"), ("throttled",)),
        (lambda device: device.environment.update(RESULT="drift"), ("throttled",)),
        (lambda device: device.environment.update(RESULT="few"), ("few-samples",)),
        (lambda device: device.environment.update(RESULT="wrong-output"), ("wrong-output",)),
        (lambda device: (device.folder / "settings/low_power").write_text("1\n"), ("low-power",)),
    ],
)
def test_what_makes_a_result_not_valid(
    lab: Bench, job: AndroidJob, change: Callable[[Device], object], reasons: tuple[str, ...]
) -> None:
    device = lab.add()
    change(device)
    result = asyncio.run(bench_device(Adb(server_port=lab.port, serial=device.serial), job))
    jsonschema.validate(json.loads(result.to_json()), SCHEMA)
    assert result.validity.reasons == reasons
    assert result.validity.valid is (not reasons)


def test_a_hot_device_is_waited_for(lab: Bench, job: AndroidJob) -> None:
    device = lab.add()
    device.battery(celsius=41)
    threading.Timer(1.0, device.battery).start()
    assert (measure(lab, device, job).protocol.cooldown_s or 0) > 0.3
    device.battery(celsius=41)
    assert (measure(lab, device, replace(job, cooldown_timeout_s=0.3)).protocol.cooldown_s or 0) >= 0.3


def test_a_device_that_says_nothing_sensible(lab: Bench, job: AndroidJob) -> None:
    device = lab.add()
    (device.folder / "props").write_bytes(b"[ro.product.model]: [\x1b[2J\xff" + b"x" * 900 + b"]\n[ro.x\n" * 99)
    for name in ("battery", "thermalservice", "power"):
        (device.folder / f"dumpsys.{name}").write_text("level: 99999999999\nscale: 0\nThermal Status: 77\nlevel: NaN\n")
    (device.folder / "sys/system/cpu/cpu3/cpufreq/cpuinfo_max_freq").write_text("9" * 300)
    result = measure(lab, device, job)
    before = result.state.before
    assert (before.thermal_status, before.battery_pct, before.temperature_c, before.charging) == (None,) * 4
    assert (result.protocol.screen_on, result.protocol.cooldown_s, result.device.api) == (None, None, None)
    assert result.device.model is not None and result.device.model.isprintable()


@pytest.mark.parametrize(
    "wrong, error, said",
    [
        ("corrupt", InputError, "result.json: not strict JSON"),
        ("truncated", InputError, "result.json: not strict JSON"),
        ("huge", InputError, "over 1024 KiB while pulling result.json"),
        ("deep", InputError, "result.json: (not strict JSON|nested)"),
        ("very-deep", InputError, "result.json: not (strict JSON|a valid result)"),
        ("many", InputError, "result.json: not (strict JSON|a valid result)"),
        ("nan", InputError, "NaN is not a JSON number"),
        ("infinite", InputError, "too large a number"),
        ("wrong-hash", InputError, "result.json is of another model"),
        ("wrong-run", InputError, "result.json is of another run"),
        ("missing", InputError, "result.json cannot be read"),
        ("directory", InputError, "result.json cannot be read"),
        ("fails", DeviceError, r"exit code 3 while measuring \(the runtime said no\)"),
    ],
)
def test_a_bad_runner_is_told_and_cleaned_up(
    lab: Bench, job: AndroidJob, wrong: str, error: type[Exception], said: str
) -> None:
    device = lab.add(RESULT=wrong)
    with pytest.raises(error, match=said) as told:
        measure(lab, device, job)
    assert str(told.value).startswith(f"{device.serial}: ") and str(told.value).isprintable()
    clean(lab, [device])


def test_what_a_runner_says_is_safe_on_a_terminal(lab: Bench, job: AndroidJob) -> None:
    assert measure(lab, lab.add(RESULT="escape"), job).errors == ("?[2J x",)


@pytest.mark.parametrize(
    "fault, said",
    [
        ("unauthorised", "not authorised"),
        ("offline", "offline"),
        ("drop-push", "lost while pushing"),
        ("drop-run", "lost while measuring"),
        ("drop-pull", "lost while pulling result.json"),
        ("full", "no space left on the device"),
        ("corrupt-push", "model.onnx was changed on the way to the device"),
        ("hang", "not finished after 2 s while reading its properties"),
    ],
)
def test_a_bad_device_is_told_and_cleaned_up(lab: Bench, job: AndroidJob, fault: str, said: str) -> None:
    device = lab.add(fault, RESULT="slow" if fault == "drop-run" else "")
    with pytest.raises(IntegrityError if fault == "corrupt-push" else DeviceError, match=said) as told:
        measure(lab, device, replace(job, step_timeout_s=2.0) if fault == "hang" else job)
    assert str(told.value).startswith(f"{device.serial}: ") and "not restored" not in str(told.value)
    clean(lab, [device])


def test_a_device_that_stays_away_is_said_to_be_left_as_it_is(lab: Bench, job: AndroidJob) -> None:
    device = lab.add("gone-run", RESULT="slow")
    with pytest.raises(DeviceError, match=r"not restored on the device: /data/local/tmp/edgekit-\w{32}, the setting"):
        measure(lab, device, replace(job, cleanup_timeout_s=2.0))


def test_a_full_device_and_a_runner_that_never_ends(lab: Bench, job: AndroidJob) -> None:
    device = lab.add(RESULT="slow")
    with pytest.raises(DeviceError, match="not finished after 1 s while measuring"):
        measure(lab, device, replace(job, run_timeout_s=1.0))
    clean(lab, [device])
    (device.folder / "free").write_text("1000\n")
    with pytest.raises(DeviceError, match=r"1\.0 MB free on the device, 67\.6 MB needed"):
        measure(lab, device, job)
    clean(lab, [device])


def test_a_job_that_cannot_be(lab: Bench, job: AndroidJob) -> None:
    device = lab.add()
    commands = len(device.commands)
    other = job.asked.facts.model_copy(update={"sha256": "0" * 64})
    for change, error in (
        ({"runner": job.model.with_name("none")}, InputError),
        ({"asked": job.asked.model_copy(update={"facts": other})}, IntegrityError),
    ):
        with pytest.raises(error):
            measure(lab, device, replace(job, **change))
    for wrong in ({"app": job.runner}, {"library": None}):
        with pytest.raises(UsageError):
            replace(job, **wrong)
    pte = job.asked.model_copy(update={"format": "executorch"})
    with pytest.raises(UsageError, match="the native runner takes onnx and litert files"):
        replace(job, asked=pte)
    with pytest.raises(InputError, match="do not have the sizes that the job says"):
        replace(job, asked=job.asked.model_copy(update={"count": 3}))
    assert len(device.commands) == commands


@pytest.mark.parametrize(("format", "library"), [("onnx", "libonnxruntime.so"), ("litert", "libLiteRt.so")])
def test_each_format_has_a_library_of_its_own_name(lab: Bench, job: AndroidJob, format: str, library: str) -> None:
    facts = job.asked.facts.model_copy(update={"format": format})
    job = replace(job, asked=job.asked.model_copy(update={"format": format, "facts": facts}))
    assert library in {file.name for file in job.files}
    assert measure(lab, lab.add(), job).model.format == format


def test_who_is_measured(lab: Bench, job: AndroidJob) -> None:
    adb = Adb(server_port=lab.port)
    with pytest.raises(UsageError, match="no device is connected"):
        asyncio.run(choose(adb))
    one = lab.add()
    assert asyncio.run(choose(adb)) == [one.serial]
    two = lab.add()
    with pytest.raises(UsageError, match="2 devices are connected; choose by `serials` or `all_devices`") as told:
        asyncio.run(choose(adb))
    assert one.serial in str(told.value) and two.serial in str(told.value)
    assert sorted(asyncio.run(choose(adb, every=True))) == sorted([one.serial, two.serial])
    assert asyncio.run(choose(adb, [two.serial, two.serial])) == [two.serial]
    for serial in ("nope", "a b", f"{one.serial}; touch PWNED", "$(touch PWNED)", "a\nb", ""):
        with pytest.raises(UsageError, match="no device") as told:
            asyncio.run(choose(adb, [serial]))
        assert str(told.value).isprintable()
        assert asyncio.run(bench_devices(adb, job, [serial]))[0].error is not None
    with pytest.raises(MissingDependencyError):
        asyncio.run(choose(Adb("no-such-adb")))
    assert not list(lab.folder.rglob("PWNED"))


def test_cancelling_at_any_step_leaves_nothing(lab: Bench, job: AndroidJob) -> None:
    at = ["preflight", "cool down", "push edgekit_bench", "push golden.bin", "measure", "putting it back"]

    async def cancelled(device: Device, step: str, after: float) -> None:
        def say(serial: str, now: str) -> None:
            if now == step:
                for delay in (after, after + 0.02):  # a second time, as the impatient do
                    asyncio.get_running_loop().call_later(delay, task.cancel)

        adb = Adb(server_port=lab.port, serial=device.serial)
        task = asyncio.ensure_future(bench_device(adb, replace(job, airplane=True), say=say))
        await asyncio.wait([task])
        assert task.cancelled(), (step, after)

    for step in at:
        device = lab.add(RESULT="slow" if step == "measure" else "")
        for after in (0.0, 0.5) if step == "measure" else (0.0, 0.01):
            asyncio.run(cancelled(device, step, after))
            clean(lab, [device])
    assert not clients()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_restores_settings_and_removes_files(lab: Bench, job: AndroidJob, number: int) -> None:
    device = lab.add(RESULT="slow")
    fields = {key: getattr(job, key) for key in ("model", "runner", "library", "poll_s", "cooldown_timeout_s")}
    code = f"""
        from pathlib import Path, PosixPath
        import numpy as np
        from edgekit.support import interrupt
        from edgekit.bench.drivers.android.adb import Adb
        from edgekit.bench.drivers.android.job import AndroidJob
        from edgekit.bench.drivers.base import run
        from edgekit.bench.golden import Golden
        from edgekit.bench.protocol import AppJob
        from tests.bench.drivers.android.cases import bench_devices
        interrupt.listen()
        asked = AppJob.model_validate_json({job.asked.model_dump_json()!r}, by_alias=True)
        golden = Golden(np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 8), np.float32))
        job = AndroidJob(asked=asked, golden=golden, airplane=True, **{fields!r})
        try:
            run(bench_devices(Adb(server_port={lab.port}), job, [{device.serial!r}]))
        except KeyboardInterrupt:
            raise SystemExit(130)
    """
    driver = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, start_new_session=True)
    try:
        until(lambda: running(device), driver)
        assert device.settings != {"airplane_mode_on": "0"}
        os.killpg(driver.pid, number)  # as a terminal does, to the group
        assert driver.wait(PATIENCE) == 130
    finally:
        driver.kill()
    clean(lab, [device])


def test_forty_devices_ten_of_them_failing(lab: Bench, job: AndroidJob) -> None:
    faults: dict[str, tuple[str, str]] = {
        "unauthorised": ("", "not authorised"),
        "offline": ("", "offline"),
        "drop-push": ("", "lost while pushing"),
        "drop-run": ("slow", "lost while measuring"),
        "drop-pull": ("", "lost while pulling"),
        "hang": ("", "not finished after"),
        "full": ("", "no space left"),
        "a": ("truncated", "not strict JSON"),
        "b": ("wrong-hash", "another model"),
        "c": ("nan", "NaN is not a JSON number"),
    }
    rows = [*faults, *[""] * 30]
    devices = [lab.add(*([fault] if fault else []), RESULT=faults.get(fault, ("", ""))[0]) for fault in rows]
    adb = Adb(server_port=lab.port)
    with _Memory() as memory:
        patient = replace(job, step_timeout_s=20.0, cleanup_timeout_s=60.0)
        outcomes = run(bench_devices(adb, patient, [one.serial for one in devices]))
    assert [outcome.serial for outcome in outcomes] == [one.serial for one in devices]
    for outcome, fault in zip(outcomes, rows, strict=True):
        if fault:
            assert outcome.result is None and faults[fault][1] in str(outcome.error), outcome.error
        else:
            valid(outcome)
    assert len({outcome.result.run_id for outcome in outcomes if outcome.result}) == 30
    assert memory.growth < 300 << 20, f"{memory.growth >> 20} MiB"
    clean(lab, devices)


def valid(outcome: Outcome) -> None:
    """The outcome is a result without any reservation."""
    assert outcome.error is None and outcome.result is not None, outcome.error
    jsonschema.validate(json.loads(outcome.result.to_json()), SCHEMA)
    assert outcome.result.validity.valid and outcome.result.errors == ()


class _Memory:
    """By how many bytes this process grew at most."""

    growth = 0

    def __enter__(self) -> _Memory:
        self._process, self._done = psutil.Process(), threading.Event()
        self._start = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.growth = max(self.growth, self._process.memory_info().rss - self._start)
