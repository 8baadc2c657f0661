"""Latency on Android devices through adb: prepare each, measure with the native runner, and leave it as it was."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import edgekit
from edgekit.bench import schema as s
from edgekit.bench.adb import Adb, plain
from edgekit.bench.android_state import Snapshot, battery_celsius, big_cores, facts_of, snapshot_of
from edgekit.bench.statistics import summarize
from edgekit.bench.validity import judge
from edgekit.errors import DeviceError, EdgeKitError, InputError, IntegrityError, UsageError
from edgekit.files import human_size, sha256_file, size_of

__all__ = ["Job", "Outcome", "Say", "bench_android", "bench_device", "bench_devices", "choose"]

Say = Callable[[str, str], None]  # a device's serial, and what happens on it
_T = TypeVar("_T")

_RUNNER = "edgekit_bench"
_FASTEST = 1e-6  # seconds of an inference: no result has more samples than that allows
_SAMPLE = 24  # bytes of one in JSON, at most
_SPARE = 64 << 20  # bytes of the device that are left free
_ATTEMPT = 10.0  # seconds that one step of putting back may take
# $1 is the run folder everywhere; words of ours are arguments, never part of a script.
_VERIFY = f'cd "$1" && chmod 755 {_RUNNER} && shift && sha256sum "$@"'
_RUN = 'cd "$1" && echo $$ >pid && export LD_LIBRARY_PATH="$PWD" && shift && exec "$@"'
_REMOVE = """if read p <"$1/pid" && [ "$(readlink "/proc/$p/cwd")" = "$1" ]; then kill -9 "$p"; fi 2>/dev/null
rm -rf "$1"; [ ! -e "$1" ]"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to measure on every device, and how.

    `inputs` holds `count` images uint8 RGB [N,H,W,3], `golden` their embeddings float32 little-endian [N,D] as the
    same model file gives them elsewhere; `facts` names the model in the result. `run_timeout_s` None allows five
    minutes beside three times `duration_s`. Other times are limits in seconds: of one question to the device, of one
    file's push, of the wait until its battery has at most `max_celsius`, and of putting it back as it was.

    Raises:
        UsageError: a number is out of its range.
    """

    model: Path
    facts: s.Model
    runner: Path
    library: Path
    inputs: Path
    golden: Path
    count: int
    height: int
    width: int
    dim: int
    layout: Literal["nchw", "nhwc_u8"]
    min_cosine: float
    warmup: int = 10
    iterations: int = 100
    duration_s: float = 5.0
    threads: int = 1
    airplane: bool = False
    stay_awake: bool = True
    max_celsius: float = 35.0
    cooldown_timeout_s: float = 300.0
    poll_s: float = 5.0
    step_timeout_s: float = 60.0
    push_timeout_s: float = 600.0
    run_timeout_s: float | None = None
    cleanup_timeout_s: float = 30.0

    def __post_init__(self) -> None:
        for name in ("count", "height", "width", "dim", "threads", "iterations"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; give at least 1")
        if self.iterations > s.MAX_SAMPLES or self.warmup < 0 or not 0 <= self.duration_s <= 86_400:
            raise UsageError("iterations, warm-up or duration out of range")


@dataclass(frozen=True)
class Outcome:
    """One device: its result, or why there is none."""

    serial: str
    result: s.Result | None = None
    error: EdgeKitError | None = None


@dataclass(frozen=True)
class _File:
    """A file of this machine, and what it is called in the run folder: never by the user's name."""

    local: Path
    name: str
    sha256: str
    bytes: int


def bench_android(
    adb: Adb, job: Job, *, serials: Sequence[str] = (), every: bool = False, say: Say | None = None
) -> list[Outcome]:
    """Measure on the chosen devices at once, from code that has no event loop. Runs on the main thread only.

    Ctrl-C and SIGTERM end it once the devices are as they were.

    Raises:
        KeyboardInterrupt: that happened.
        EdgeKitError: as of `choose` and `bench_devices`.
    """

    async def work() -> list[Outcome]:
        return await bench_devices(adb, job, await choose(adb, serials, every=every), say=say)

    return _run(work())


async def choose(adb: Adb, serials: Sequence[str] = (), *, every: bool = False) -> list[str]:
    """The serials to measure on: those named, all that are connected, or the only one.

    Raises:
        UsageError: there is no device, none is chosen out of several, or one that is named is not connected.
    """
    found = await adb.devices()
    known = [one.serial for one in found]
    listed = plain(", ".join(f"{one.serial} ({one.state})" for one in found), 400) or "none"
    if not found:
        raise UsageError("no device is connected; plug one in, allow debugging on it, and see `adb devices`")
    missing = [serial for serial in serials if serial not in known]
    if missing:
        raise UsageError(f"no device {plain(', '.join(map(repr, missing)))}; connected: {listed}")
    if serials:
        return list(dict.fromkeys(serials))
    if every or len(known) == 1:
        return known
    raise UsageError(f"{len(known)} devices are connected; choose by --serial or --all-devices: {listed}")


async def bench_devices(adb: Adb, job: Job, serials: Sequence[str], *, say: Say | None = None) -> list[Outcome]:
    """Measure on all of them at once, each by itself; outcomes in their order.

    Raises:
        EdgeKitError: a file of the job cannot be used.
    """
    files = await asyncio.to_thread(_pack, job)

    async def one(serial: str) -> Outcome:
        try:
            return Outcome(serial, await bench_device(adb.at(serial), job, say=say, files=files))
        except EdgeKitError as error:
            return Outcome(serial, error=error)
        except Exception as error:  # a fault of ours must not spoil the other devices either
            return Outcome(serial, error=DeviceError(f"{plain(serial)}: unexpected {type(error).__name__}: {error}"))

    return await asyncio.gather(*(one(serial) for serial in serials))


async def bench_device(adb: Adb, job: Job, *, say: Say | None = None, files: Sequence[_File] | None = None) -> s.Result:
    """Measure on one device. However it ends, by cancellation too, settings are restored and files removed first.

    Args:
        adb: with the device's serial.
        say: is told each step.
        files: what to push, where several devices share it.

    Raises:
        DeviceError: the device is lost, unauthorised, offline, full or silent, or the runner fails on it.
        InputError: a file of the job cannot be used, or the device's result is none.
        IntegrityError: a file has other bytes than it should, here or on the device.
    """
    tell = say or (lambda serial, step: None)
    packed = files if files is not None else await asyncio.to_thread(_pack, job)
    undo = _Undo(adb, job.cleanup_timeout_s)
    serial = adb.serial or ""
    try:
        result = await _measure(adb, job, packed, undo, lambda step: tell(serial, step))
        tell(serial, "putting it back")
    except BaseException as error:
        left, _ = await _to_its_end(undo.run())
        if left:
            told = f"not put back on the device: {', '.join(left)}"
            tell(serial, told)
            if isinstance(error, EdgeKitError):
                raise type(error)(f"{error}; {told}") from error
        raise
    left, cancelled = await _to_its_end(undo.run())
    told = f"not put back on the device: {', '.join(left)}" if left else "done"
    tell(serial, told)
    if cancelled:
        raise asyncio.CancelledError
    return result.model_copy(update={"errors": (*result.errors, told)[-64:]}) if left else result


@dataclass
class _Undo:
    """What is to be put back on a device, the last first."""

    adb: Adb
    timeout: float
    steps: list[tuple[str, list[str]]] = field(default_factory=list)

    def add(self, label: str, *argv: str) -> None:
        """Remember it before the change: a change that is cut off may have happened."""
        self.steps.append((label, list(argv)))

    async def run(self) -> list[str]:
        """Put all back, also on a device that is away for a while; the labels of what could not be."""
        end = time.monotonic() + self.timeout
        failed = []
        while self.steps and (left := end - time.monotonic()) > 0:
            label, argv = self.steps[-1]
            try:
                done = await self.adb.shell(argv, min(left, _ATTEMPT), doing=f"putting back {label}")
            except DeviceError:
                await self.adb.connect()
                await asyncio.sleep(min(1.0, self.timeout / 10))
                continue
            except EdgeKitError:
                break
            self.steps.pop()
            if done.code:
                failed.append(label)
        return failed + [label for label, _ in reversed(self.steps)]


async def _measure(adb: Adb, job: Job, files: Sequence[_File], undo: _Undo, say: Callable[[str], None]) -> s.Result:
    run_id, started = os.urandom(16).hex(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    folder = f"/data/local/tmp/edgekit-{run_id}"
    say("preflight")
    device = await facts_of(adb, job.step_timeout_s)
    await _settle(adb, job, await snapshot_of(adb, job.step_timeout_s), undo)
    say("cool down")
    waited = await _cool_down(adb, job)
    await _require_space(adb, job, sum(file.bytes for file in files))
    undo.add(folder, "sh", "-c", _REMOVE, "sh", folder)
    await _must(adb, ["mkdir", folder], job.step_timeout_s, "making the run folder")
    for file in files:
        say(f"push {file.name}")
        await adb.push(file.local, f"{folder}/{file.name}", job.push_timeout_s)
    await _verify(adb, job, folder, files)
    cores = await _kept_on(adb, job, device)
    before = await snapshot_of(adb, job.step_timeout_s)
    if job.airplane and not before.airplane:
        raise DeviceError(f"{plain(adb.serial or '')}: airplane mode did not turn on; measure without it")
    say("measure")
    await _run_there(adb, job, folder, run_id, cores)
    told = await _fetch(adb, job, folder, run_id)
    after = await snapshot_of(adb, job.step_timeout_s)
    return _merge(told, job, device, (before, after), cores, waited, started)


async def _settle(adb: Adb, job: Job, now: Snapshot, undo: _Undo) -> None:
    """Keep the screen on and the radios off, where that is asked for."""
    serial = plain(adb.serial or "")
    unknown = "cannot be read and so could not be put back; measure without it"
    if job.stay_awake:
        if now.awake_setting is None:
            raise DeviceError(f"{serial}: its setting to stay awake {unknown}")
        name = ("global", "stay_on_while_plugged_in")
        back = ("delete", *name) if now.awake_setting == "null" else ("put", *name, now.awake_setting)
        undo.add("the setting to stay awake", "settings", *back)
        await _must(adb, ["svc", "power", "stayon", "true"], job.step_timeout_s, "keeping the screen on")
    if job.airplane and not now.airplane:
        if now.airplane_setting is None:
            raise DeviceError(f"{serial}: its airplane mode {unknown}")
        if _over_network(adb.serial or ""):
            raise DeviceError(f"{serial}: airplane mode would cut its network connection; use a cable or leave it out")
        undo.add("airplane mode", "cmd", "connectivity", "airplane-mode", "disable")
        argv = ["cmd", "connectivity", "airplane-mode", "enable"]
        await _must(adb, argv, job.step_timeout_s, "turning airplane mode on (Android 11 or later)")


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


async def _verify(adb: Adb, job: Job, folder: str, files: Sequence[_File]) -> None:
    argv = ["sh", "-c", _VERIFY, "sh", folder, *(file.name for file in files)]
    done = await _must(adb, argv, job.push_timeout_s, "checking what was pushed")
    found = {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})[ *]+(\S+)$", done, re.M)}
    for file in files:
        if found.get(file.name) != file.sha256:
            raise IntegrityError(f"{plain(adb.serial or '')}: {file.name} arrived with other bytes; measure again")


async def _kept_on(adb: Adb, job: Job, device: s.Device) -> tuple[int, ...] | None:
    """The big cores, where the device can keep a process on them."""
    cores = big_cores(device.cores, job.threads)
    if cores is None:
        return None
    done = await adb.shell(["taskset", _mask(cores), "true"], job.step_timeout_s, doing="choosing the big cores")
    return cores if done.code == 0 else None


async def _run_there(adb: Adb, job: Job, folder: str, run_id: str, cores: tuple[int, ...] | None) -> None:
    options = {
        "model": "model.onnx",
        "library": "./libonnxruntime.so",
        "inputs": "inputs.bin",
        "golden": "golden.bin",
        "count": job.count,
        "height": job.height,
        "width": job.width,
        "dim": job.dim,
        "layout": job.layout,
        "warmup": job.warmup,
        "iterations": job.iterations,
        "duration": job.duration_s,
        "threads": job.threads,
        "min-cosine": job.min_cosine,
        "run-id": run_id,
        "model-sha256": job.facts.sha256,
        "out": "result.json",
    }
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    kept = [] if cores is None else ["taskset", _mask(cores)]
    argv = ["sh", "-c", _RUN, "sh", folder, *kept, f"./{_RUNNER}", *words]
    timeout = job.run_timeout_s if job.run_timeout_s is not None else 300 + 3 * job.duration_s
    await _must(adb, argv, timeout, "measuring")


async def _fetch(adb: Adb, job: Job, folder: str, run_id: str) -> s.Result:
    """The runner's result, if it is one of this run and model."""
    serial = plain(adb.serial or "")
    most = min(s.MAX_SAMPLES, max(job.iterations, int(job.duration_s / _FASTEST)))
    with tempfile.TemporaryDirectory(prefix="edgekit-") as own:
        path = Path(own) / "result.json"
        await adb.pull(f"{folder}/result.json", path, job.push_timeout_s, max_bytes=(1 << 20) + _SAMPLE * most)
        try:
            told = s.read_result(path)
        except InputError as error:
            raise InputError(f"{serial}: {plain(str(error).replace(str(path), path.name), 400)}") from error
    for what, own_value, due in (
        ("run", told.run_id, run_id),
        ("model", told.model.sha256, job.facts.sha256),
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
    measured = ("cold_load", "warm_load", "compile", "first", "samples")
    near = check.min_cosine is not None and check.min_cosine >= job.min_cosine
    result = s.Result(
        run_id=told.run_id,
        started_utc=started,
        tool=s.Tool(edgekit=edgekit.__version__, runner="android-native", harness="adb"),
        model=job.facts,
        runtime=told.runtime.model_copy(update={"cores": cores, "threads": job.threads}),
        device=device,
        protocol=s.Protocol(
            warmup=job.warmup,
            min_iterations=job.iterations,
            min_duration_s=job.duration_s,
            iterations=len(latency.samples),
            inputs=job.count,
            cooldown_s=waited,
            screen_on=before.screen_on,
            airplane=before.airplane,
        ),
        state=s.States(before=before.state, after=after.state),
        latency_ms=summarize(s.Latency(**{name: getattr(latency, name) for name in measured})),
        memory_bytes=told.memory_bytes,
        check=check.model_copy(update={"passed": check.passed and near and check.images > 0}),
        validity=s.Validity(valid=False),
        errors=tuple(plain(line) for line in told.errors),
    )
    return judge(result)


async def _must(adb: Adb, argv: Sequence[str], timeout: float, doing: str) -> str:
    """stdout of a command that has to succeed."""
    done = await adb.shell(argv, timeout, doing=doing, limit=8 << 20)
    if done.code:
        said = plain(done.stderr) or "it says nothing"
        killed = "; killed, perhaps for want of memory" if done.code == 137 else ""
        raise DeviceError(f"{plain(adb.serial or '')}: exit code {done.code} while {doing} ({said}){killed}")
    return done.text


def _pack(job: Job) -> list[_File]:
    """What is pushed, under names of ours."""
    sizes = {
        job.inputs: job.count * job.height * job.width * 3,
        job.golden: job.count * job.dim * 4,
        job.model: job.facts.bytes,
    }
    names = {
        _RUNNER: job.runner,
        "libonnxruntime.so": job.library,
        "model.onnx": job.model,
        "inputs.bin": job.inputs,
        "golden.bin": job.golden,
    }
    files = [_File(path, name, sha256_file(path), size_of(path)) for name, path in names.items()]
    for file in files:
        due = sizes.get(file.local, file.bytes)
        if file.bytes != due:
            raise InputError(f"{file.local}: {file.bytes} bytes, not the {due} that the job says")
        if file.name == "model.onnx" and file.sha256 != job.facts.sha256:
            raise IntegrityError(f"{file.local}: has changed since it was opened; start again")
    return files


def _mask(cores: Sequence[int]) -> str:
    return f"{sum(1 << core for core in cores):x}"


def _over_network(serial: str) -> bool:
    """Whether adb reaches it by radio, as far as the serial tells; a forwarded port of this machine may be a cable."""
    return ("._tcp" in serial or ":" in serial) and not serial.startswith(("127.0.0.1:", "localhost:", "[::1]:"))


async def _to_its_end(work: Coroutine[Any, Any, _T]) -> tuple[_T, bool]:
    """What `work` returns, also if this is cancelled meanwhile, and whether it was."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
        except Exception:
            break
    return task.result(), cancelled


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    async def main() -> _T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        ours = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
        before = {number: signal.getsignal(number) for number in ours}
        try:
            with suppress(NotImplementedError):  # Windows
                for number in ours:
                    loop.add_signal_handler(number, task.cancel)
            return await work
        finally:
            for number, handler in before.items():
                with suppress(NotImplementedError):
                    loop.remove_signal_handler(number)
                signal.signal(number, handler)

    try:
        return asyncio.run(main())
    except asyncio.CancelledError as error:
        raise KeyboardInterrupt from error
