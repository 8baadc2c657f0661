"""The steps of a measurement on one iPhone, in their order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from edgekit.bench import schema as s
from edgekit.bench.drivers.base import plain
from edgekit.bench.drivers.ios.app import Products
from edgekit.bench.drivers.ios.compute_plan import ComputePlan, read_compute_plan
from edgekit.bench.drivers.ios.job import IosJob
from edgekit.bench.drivers.ios.process import Done, call
from edgekit.bench.drivers.ios.tools import Argv, Facts, Tools, trouble
from edgekit.bench.protocol import COMPUTE_PLAN, RESULT, ComputeUnits, write_job
from edgekit.bench.results.validity import judge
from edgekit.errors import DeviceError, EdgeKitError, InputError
from edgekit.metrics.statistics import summarize_told
from edgekit.support.files import read_json
from edgekit.support.version import VERSION

__all__ = ["Device", "answer", "ask", "install", "measure", "remove"]

_ATTEMPT = 10.0  # seconds that one try to remove the job may take
_LARGEST = s.MAX_BYTES + (1 << 20)
_T = TypeVar("_T")


@dataclass
class Device:
    """One device that is measured on; `placed` and `running` say what is to be undone."""

    tools: Tools
    udid: str
    job: IosJob
    products: Products
    placed: bool = False
    running: bool = False
    facts: Facts = field(default_factory=Facts)

    async def run(self, argv: Argv, timeout: float, doing: str, into: tuple[Path, int] | None = None) -> Done:
        """Run one of its programs, however that ends."""
        return await call(argv, timeout, where=self.udid, doing=doing, missing=self.tools.missing, into=into)

    async def must(self, argv: Argv, timeout: float, doing: str) -> Done:
        """Run a command that has to succeed."""
        done = await self.run(argv, timeout, doing)
        if done.code:
            raise trouble(self.tools, done, self.udid, doing)
        return done


async def ask(device: Device) -> None:
    """Learn what it is; DeviceError says why it cannot be used now."""
    told = []
    with TemporaryDirectory(prefix="edgekit-") as folder:
        for number, argv in enumerate(device.tools.asking(device.udid, Path(folder) / "answer.json")):
            done = await device.must(argv, device.job.step_timeout_s, "asking what it is")
            told.append(answer(done, Path(folder) / "answer.json", f"{plain(device.udid)}: answer {number + 1}"))
    device.facts = device.tools.asked(told)
    if device.facts.trouble is not None:
        raise DeviceError(f"{plain(device.udid)}: {device.facts.trouble}")


def answer(done: Done, path: Path, name: str) -> Any:
    """The JSON that a program left at `path`, which is then free for the next, or printed."""
    if not path.exists():
        path.write_bytes(done.stdout)
    try:
        return read_json(path)
    except InputError as error:
        raise InputError(plain(str(error).replace(str(path), name), 400)) from error
    finally:
        path.unlink()


async def install(device: Device) -> None:
    """Put the app on it; an older one keeps its files and is replaced."""
    argv = device.tools.installing(device.udid, device.products)
    await device.must(argv, device.job.copy_timeout_s, "installing the app")


async def measure(
    device: Device, units: ComputeUnits, say: Callable[[str], None]
) -> tuple[s.Result, ComputePlan | None]:
    """One run with one setting of the compute units. What is left on the device is told to it first.

    Raises:
        EdgeKitError: as of `edgekit.bench.ios.bench_phone`.
    """
    job, tools = device.job, device.tools
    run_id, started = s.new_run()
    asked = job.asked.model_copy(update={"run_id": run_id, "compute_units": units, "out": RESULT})
    with TemporaryDirectory(prefix="edgekit-") as name:
        scratch = Path(name)
        folder, fetched = scratch / "job", scratch / "fetched"
        folder.mkdir()
        fetched.mkdir()
        write_job(folder, asked, job.model, job.golden)
        _open_to_all(folder)
        say(f"{units}: copy the job")
        device.placed = True
        for argv in tools.cleaning(device.udid, device.products.bundle):
            await device.run(argv, job.step_timeout_s, "removing an older job")
        for argv in tools.pushing(device.udid, device.products.bundle, folder):
            await device.must(argv, job.copy_timeout_s, "copying the job to it")
        say(f"{units}: measure")
        device.running = True
        argv = tools.testing(device.udid, device.products, scratch)
        done = await device.run(argv, job.limit_s, "measuring")
        device.running = False
        if tools.failed(done):
            raise trouble(tools, done, device.udid, "measuring")
        say(f"{units}: copy the result")
        told = await _fetch(device, fetched, run_id)
        plan, wrong = await _fetch_plan(device, fetched, run_id)
    return _merge(told, device, units, started, wrong), plan


async def remove(device: Device) -> str | None:
    """Take the job off the device, also if it is away for a while; what could not be removed, or None."""
    tools, bundle, end = device.tools, device.products.bundle, time.monotonic() + device.job.cleanup_timeout_s
    for argv in tools.stopping(device.udid, bundle) if device.running else ():
        with contextlib.suppress(EdgeKitError):
            await device.run(argv, _ATTEMPT, "ending the app")
    device.running = False
    with TemporaryDirectory(prefix="edgekit-") as name:
        (Path(name) / "removed").touch()
        argv = tools.removing(device.udid, bundle, Path(name))
        while device.placed and (left := end - time.monotonic()) > 0:
            with contextlib.suppress(DeviceError):
                done = await device.run(argv, min(left, _ATTEMPT), "removing the job")
                if done.code == 0 or tools.absent in tools.says(done).lower():
                    device.placed = False
                    continue
            await asyncio.sleep(min(1.0, device.job.cleanup_timeout_s / 10))
    return "the job in the app's documents" if device.placed else None


async def _fetch(device: Device, into: Path, run_id: str) -> s.Result:
    """The app's result, if it is one of this run and model."""
    udid, due_model = plain(device.udid), device.job.asked.facts.sha256
    await _pull(device, RESULT, into)
    try:
        told = _read(s.read_result, into / RESULT)
    except InputError as error:
        raise InputError(f"{udid}: {error}") from error
    for what, own_value, due in (
        ("run", told.run_id, run_id),
        ("model", told.model.sha256, due_model),
        ("platform", told.device.platform, "ios"),
    ):
        if own_value != due:
            raise InputError(f"{udid}: {RESULT} is of another {what} ({own_value[:12]}, not {due[:12]}); run again")
    return told


async def _fetch_plan(device: Device, into: Path, run_id: str) -> tuple[ComputePlan | None, str | None]:
    """The plan, where the app could make one (iOS 17.4 or later), and what is wrong with it."""
    try:
        await _pull(device, COMPUTE_PLAN, into)
    except EdgeKitError:
        return None, None
    try:
        plan = _read(read_compute_plan, into / COMPUTE_PLAN)
    except InputError as error:
        return None, str(error)  # goes into the result, which does not name the device
    return (plan, None) if plan.run_id == run_id else (None, f"{COMPUTE_PLAN} is of another run")


async def _pull(device: Device, name: str, into: Path) -> None:
    doing = f"copying {name} from it"
    argv = device.tools.fetching(device.udid, device.products.bundle, name, into)
    done = await device.run(argv, device.job.copy_timeout_s, doing, (into, _LARGEST))
    if done.code and device.tools.absent in device.tools.says(done).lower():
        raise InputError(f"{plain(device.udid)}: the app left no {name}; see its screen, and run again")
    if done.code:
        raise trouble(device.tools, done, device.udid, doing)
    if (into / name).is_symlink() or not (into / name).is_file():
        raise InputError(f"{plain(device.udid)}: {name} is no file; run again")


def _read(reader: Callable[[Path], _T], path: Path) -> _T:
    try:
        return reader(path)
    except InputError as error:
        raise InputError(plain(str(error).replace(str(path), path.name), 400)) from error


def _open_to_all(folder: Path) -> None:
    """Modes and owners may be copied too, and the app is to write its result beside the job."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)


def _merge(told: s.Result, device: Device, units: ComputeUnits, started: str, wrong: str | None) -> s.Result:
    """The app's samples, outputs, memory, state and runtime; all else as the driver knows it."""
    asked, facts, latency, check = device.job.asked, device.facts, told.latency_ms, told.check
    near = check.min_cosine is not None and check.min_cosine >= asked.min_cosine
    runtime, phone = dict(_plainly(told.runtime)), dict(_plainly(told.device))
    provider = s.Lab(provider=device.tools.provider, serial_sha256=sha256(device.udid.encode()).hexdigest())
    known = {"manufacturer": "Apple", "model": facts.model, "os": facts.os}
    phone |= {name: value for name, value in known.items() if phone[name] is None}
    result = s.Result(
        run_id=told.run_id,
        started_utc=started,
        tool=s.Tool(edgekit=VERSION, runner="ios-app", harness=device.tools.harness),
        model=asked.facts,
        runtime=s.Runtime(**{**runtime, "backend": units}),
        device=s.Device(**{**phone, "lab": provider}),
        protocol=s.Protocol(
            warmup=asked.warmup,
            min_iterations=asked.iterations,
            min_duration_s=asked.duration,
            iterations=len(latency.samples),
            inputs=asked.count,
            screen_on=told.protocol.screen_on,
        ),
        state=told.state,
        latency_ms=summarize_told(latency),
        memory_bytes=told.memory_bytes,
        check=check.model_copy(update={"passed": check.passed and near and check.images > 0}),
        validity=s.Validity(valid=False),
        errors=tuple(plain(line) for line in (*told.errors, *([wrong] if wrong else ())))[-64:],
    )
    return judge(result, background="background" in told.validity.reasons)


def _plainly(model: s.Runtime | s.Device) -> Iterator[tuple[str, Any]]:
    """Its fields, with texts that are safe on a terminal."""
    for name, value in model:
        yield name, plain(value) or None if isinstance(value, str) else value
