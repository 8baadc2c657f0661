"""The steps of a measurement on one Android device, in their order."""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from edgekit.bench import schema as s
from edgekit.bench.drivers.android import app, native
from edgekit.bench.drivers.android.adb import Adb
from edgekit.bench.drivers.android.job import File, Job
from edgekit.bench.drivers.android.state import Snapshot, battery_celsius, facts_of, snapshot_of
from edgekit.bench.drivers.android.undo import Undo
from edgekit.bench.drivers.base import plain
from edgekit.bench.results.validity import judge
from edgekit.errors import DeviceError, InputError, IntegrityError
from edgekit.metrics.statistics import summarize_told
from edgekit.support.text import human_size
from edgekit.support.version import VERSION

__all__ = ["measure"]

_FASTEST = 1e-6  # seconds of an inference: no result has more samples than that allows
_SAMPLE = 24  # bytes of one in JSON, at most
_SPARE = 64 << 20  # bytes of the device that are left free
# $1 is the run folder everywhere; words of ours are arguments, never part of a script.
_VERIFY = 'cd "$1" && shift && sha256sum "$@"'
_REMOVE = """if read p <"$1/pid" && [ "$(readlink "/proc/$p/cwd")" = "$1" ]; then kill -9 "$p"; fi 2>/dev/null
rm -rf "$1"; [ ! -e "$1" ]"""


async def measure(adb: Adb, job: Job, files: Sequence[File], undo: Undo, say: Callable[[str], None]) -> s.Result:
    """Take one device through all steps; what is changed on it is told to `undo` first.

    Raises:
        DeviceError, InputError, IntegrityError: as of `edgekit.bench.android.bench_device`.
    """
    run_id, started = s.new_run()
    folder = f"/data/local/tmp/edgekit-{run_id}"
    say("preflight")
    device = await facts_of(adb, job.step_timeout_s)
    await _settle(adb, job, await snapshot_of(adb, job.step_timeout_s), undo)
    await _require_space(adb, job, sum(file.bytes for file in files))
    undo.add(folder, "sh", "-c", _REMOVE, "sh", folder)
    await adb.must(["mkdir", folder], job.step_timeout_s, "making the run folder")
    for file in files:
        say(f"push {file.name}")
        await adb.push(file.local, f"{folder}/{file.name}", job.push_timeout_s)
    await _verify(adb, job, folder, files)
    cores = None
    if job.app is None:
        cores = await native.cores_of(adb, job, device)
    else:
        say("install the app")
        await app.install(adb, job, folder, run_id, undo)
    say("cool down")  # copying and installing warm a phone up
    waited = await _cool_down(adb, job)
    before = await snapshot_of(adb, job.step_timeout_s)
    if job.airplane and not before.airplane:
        raise DeviceError(f"{plain(adb.serial or '')}: airplane mode did not turn on; measure without it")
    say("measure")
    if job.app is None:
        result = await native.run(adb, job, folder, run_id, cores)
    else:
        result = await app.run(adb, job, folder, run_id)
    told = await _fetch(adb, job, result, run_id)
    after = await snapshot_of(adb, job.step_timeout_s)
    return _merge(told, job, device, (before, after), cores, waited, started)


async def _settle(adb: Adb, job: Job, now: Snapshot, undo: Undo) -> None:
    """Keep the screen on and the radios off, where that is asked for."""
    serial = plain(adb.serial or "")
    unknown = "cannot be read and so could not be put back; measure without it"
    if job.stay_awake:
        if now.awake_setting is None:
            raise DeviceError(f"{serial}: its setting to stay awake {unknown}")
        name = ("global", "stay_on_while_plugged_in")
        back = ("delete", *name) if now.awake_setting == "null" else ("put", *name, now.awake_setting)
        undo.add("the setting to stay awake", "settings", *back)
        await adb.must(["svc", "power", "stayon", "true"], job.step_timeout_s, "keeping the screen on")
    if job.airplane and not now.airplane:
        if now.airplane_setting is None:
            raise DeviceError(f"{serial}: its airplane mode {unknown}")
        if _over_network(adb.serial or ""):
            raise DeviceError(f"{serial}: airplane mode would cut its network connection; use a cable or leave it out")
        undo.add("airplane mode", "cmd", "connectivity", "airplane-mode", "disable")
        argv = ["cmd", "connectivity", "airplane-mode", "enable"]
        await adb.must(argv, job.step_timeout_s, "turning airplane mode on (Android 11 or later)")


async def _cool_down(adb: Adb, job: Job) -> float | None:
    """Seconds until the battery was cool enough, or the wait was given up; None where its heat is not known."""
    started = time.monotonic()
    while (heat := await battery_celsius(adb, job.step_timeout_s)) is not None:
        waited = time.monotonic() - started
        if heat <= job.max_celsius or waited >= job.cooldown_timeout_s:
            return round(waited, 3)
        await asyncio.sleep(min(job.poll_s, job.cooldown_timeout_s - waited))
    return None


async def _require_space(adb: Adb, job: Job, size: int) -> None:
    done = await adb.shell(["df", "-k", "/data/local/tmp"], job.step_timeout_s, doing="asking for its free space")
    found = re.search(r"\s(\d{1,15})\s+\d{1,3}%\s", done.text)
    free = None if found is None else 1024 * int(found.group(1))
    if free is not None and free < size + _SPARE:
        raise DeviceError(
            f"{plain(adb.serial or '')}: {human_size(free)} free on the device, {human_size(size + _SPARE)} needed; "
            "free some"
        )


async def _verify(adb: Adb, job: Job, folder: str, files: Sequence[File]) -> None:
    argv = ["sh", "-c", _VERIFY, "sh", folder, *(file.name for file in files)]
    done = await adb.must(argv, job.push_timeout_s, "checking what was pushed")
    found = {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})[ *]+(\S+)$", done, re.M)}
    for file in files:
        if found.get(file.name) != file.sha256:
            raise IntegrityError(f"{plain(adb.serial or '')}: {file.name} arrived with other bytes; measure again")


async def _fetch(adb: Adb, job: Job, result: str, run_id: str) -> s.Result:
    """The runner's result, if it is one of this run and model."""
    serial = plain(adb.serial or "")
    most = min(s.MAX_SAMPLES, max(job.asked.iterations, int(job.asked.duration / _FASTEST)))
    with tempfile.TemporaryDirectory(prefix="edgekit-") as own:
        path = Path(own) / "result.json"
        await adb.pull(result, path, job.push_timeout_s, max_bytes=(1 << 20) + _SAMPLE * most)
        try:
            told = s.read_result(path)
        except InputError as error:
            raise InputError(f"{serial}: {plain(str(error).replace(str(path), path.name), 400)}") from error
    for what, own_value, due in (
        ("run", told.run_id, run_id),
        ("model", told.model.sha256, job.asked.facts.sha256),
        ("platform", told.device.platform, "android"),
    ):
        if own_value != due:
            raise InputError(
                f"{serial}: result.json is of another {what} ({own_value[:12]}, not {due[:12]}); run again"
            )
    return told


def _merge(
    told: s.Result,
    job: Job,
    device: s.Device,
    snapshots: tuple[Snapshot, Snapshot],
    cores: tuple[int, ...] | None,
    waited: float | None,
    started: str,
) -> s.Result:
    """The runner's samples, outputs, memory and runtime; all else as the driver knows it."""
    before, after = snapshots
    latency, check = told.latency_ms, told.check
    near = check.min_cosine is not None and check.min_cosine >= job.asked.min_cosine
    result = s.Result(
        run_id=told.run_id,
        started_utc=started,
        tool=s.Tool(edgekit=VERSION, runner="android-native" if job.app is None else "android-app", harness="adb"),
        model=job.asked.facts,
        runtime=told.runtime.model_copy(update={"cores": cores, "threads": job.asked.threads}),
        device=device,
        protocol=s.Protocol(
            warmup=job.asked.warmup,
            min_iterations=job.asked.iterations,
            min_duration_s=job.asked.duration,
            iterations=len(latency.samples),
            inputs=job.asked.count,
            cooldown_s=waited,
            screen_on=before.screen_on,
            airplane=before.airplane,
        ),
        state=s.States(before=before.state, after=after.state),
        latency_ms=summarize_told(latency),
        memory_bytes=told.memory_bytes,
        check=check.model_copy(update={"passed": check.passed and near and check.images > 0}),
        validity=s.Validity(valid=False),
        errors=tuple(plain(line) for line in told.errors),
    )
    return judge(result, background="background" in told.validity.reasons)


def _over_network(serial: str) -> bool:
    """Whether adb reaches it by radio, as far as the serial tells; a forwarded port of this machine may be a cable."""
    return ("._tcp" in serial or ":" in serial) and not serial.startswith(("127.0.0.1:", "localhost:", "[::1]:"))
