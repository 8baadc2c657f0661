"""What is measured on an iPhone, and the steps of a measurement in their order."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np

from edgekit.bench import schema as s
from edgekit.bench.drivers.base import Say, plain
from edgekit.bench.drivers.ios.app import Products
from edgekit.bench.drivers.ios.compute_plan import ComputePlan, read_compute_plan
from edgekit.bench.drivers.ios.tools import Argv, Facts, Tools, trouble
from edgekit.bench.drivers.phone import PhoneJob, merged, read_back, result_of, rows_of
from edgekit.bench.drivers.program import Done, call
from edgekit.bench.protocol import COMPUTE_PLAN, COMPUTE_UNITS, RESULT, AppJob, ComputeUnits, write_job
from edgekit.errors import DeviceError, EdgeKitError, InputError, UsageError
from edgekit.support.files import read_json
from edgekit.support.version import VERSION
from edgekit.targets.coreai import IOS_VERSIONS

__all__ = ["Device", "IosJob", "answer", "ask", "backend_of", "measure", "remove"]

_ATTEMPT = 10.0  # seconds that one try to remove the job may take
_LARGEST = s.MAX_BYTES + (1 << 20)
_PREFERENCES = {"cpuAndNeuralEngine": "prefers neuralEngine", "cpuAndGPU": "prefers gpu", "cpuOnly": "cpuOnly"}


@dataclass(frozen=True)
class _Kind:
    """A format that the app runs: how its folders end, the first iOS that can, and what to do on an older one."""

    suffix: str
    ios: int
    older: str


_KINDS = {
    "coreml": _Kind(".mlpackage", 17, "the app needs iOS 17; update it"),
    "coreai": _Kind(
        ".aimodel",
        IOS_VERSIONS[0],
        f"Core AI needs iOS {IOS_VERSIONS[0]}; update it, or give it a .mlpackage",
    ),
}


@dataclass(frozen=True, kw_only=True)
class IosJob(PhoneJob):
    """What to measure on every device, with each of the compute units in turn, which are set anew for each run.

    `app` is the folder that `xcodebuild build-for-testing` filled. UsageError where the app does not run the model.
    """

    spare_s: ClassVar[float] = 600.0  # the device compiles or specializes the model first

    app: Path
    compute_units: Sequence[ComputeUnits] = COMPUTE_UNITS[:1]
    step_timeout_s: float = 120.0

    def __post_init__(self) -> None:
        super().__post_init__()
        kind = _KINDS.get(self.asked.format)
        if kind is None or self.model.suffix != kind.suffix:
            taken = " and ".join(one.suffix for one in _KINDS.values())
            raise UsageError(f"{self.model}: iPhones take {taken}; give one of those", field="artifacts")


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

    async def run(self, argv: Argv, timeout: float, doing: str, into: Path | None = None) -> Done:
        """Run one of its programs, which may fill a folder, however that ends."""
        missing, limit = self.tools.missing, None if into is None else _LARGEST
        return await call(argv, timeout, where=self.udid, doing=doing, missing=missing, into=into, limit=limit)

    async def must(self, argv: Argv, timeout: float, doing: str) -> Done:
        """Run a command that has to succeed."""
        done = await self.run(argv, timeout, doing)
        if done.code:
            raise trouble(self.tools, done, self.udid, doing)
        return done


async def ask(device: Device) -> None:
    """Learn what it is; DeviceError says why it cannot be used now, UsageError that its iOS cannot run the model."""
    answers = []
    with TemporaryDirectory(prefix="edgekit-") as folder:
        for number, argv in enumerate(device.tools.asking(device.udid, Path(folder) / "answer.json")):
            done = await device.must(argv, device.job.step_timeout_s, "asking what it is")
            answers.append(answer(done, Path(folder) / "answer.json", f"{plain(device.udid)}: answer {number + 1}"))
    device.facts = device.tools.asked(answers)
    if device.facts.trouble is not None:
        raise DeviceError(f"{plain(device.udid)}: {device.facts.trouble}")
    kind, major = _KINDS[device.job.asked.format], re.match(r"iOS (\d{1,4})\b", device.facts.os or "")
    if major and int(major[1]) < kind.ios:
        raise UsageError(f"{plain(device.udid)}: has {device.facts.os}, {kind.older}", field="artifacts")


def backend_of(asked: AppJob) -> str:
    """What a runtime is asked for by compute units, in its words: Core AI prefers one, and never leaves another out."""
    units = asked.compute_units or COMPUTE_UNITS[0]
    return _PREFERENCES.get(units, "default") if asked.format == "coreai" else units


def answer(done: Done, path: Path, name: str) -> Any:
    """The JSON that a program left at `path`, which is then free for the next, or printed."""
    if not path.exists():
        path.write_bytes(done.stdout)
    try:
        return read_back(read_json, path, name)
    finally:
        path.unlink()


async def measure(
    device: Device, units: ComputeUnits, say: Say
) -> tuple[s.Result, ComputePlan | None, np.ndarray | None]:
    """One run with one setting of the compute units; the device is told of each change first.

    Returns the result, where Core ML meant to run the operators, and embeddings float32 [count,dim] where the job asks
    for them.
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
        await _pull(device, RESULT, fetched)
        written = result_of(fetched / RESULT, device.udid, asked, "ios")
        rows = await _fetch_rows(device, fetched, written, asked)
        plan, wrong = await _fetch_plan(device, fetched, run_id)
    return _merge(written, device, asked, started, wrong), plan, rows


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


async def _fetch_rows(device: Device, into: Path, written: s.Result, asked: AppJob) -> np.ndarray | None:
    """The embeddings, where the job asks for them."""
    if asked.embeddings is None:
        return None
    if written.embeddings is not None:  # which `rows_of` looks at
        await _pull(device, asked.embeddings, into)
    return rows_of(into / asked.embeddings, device.udid, written, asked)


async def _fetch_plan(device: Device, into: Path, run_id: str) -> tuple[ComputePlan | None, str | None]:
    """The plan, where the app could make one (iOS 17.4 or later), and what is wrong with it."""
    try:
        await _pull(device, COMPUTE_PLAN, into)
    except EdgeKitError:
        return None, None
    try:
        plan = read_back(read_compute_plan, into / COMPUTE_PLAN, COMPUTE_PLAN)
    except InputError as error:
        return None, str(error)  # goes into the result, which does not name the device
    return (plan, None) if plan.run_id == run_id else (None, f"{COMPUTE_PLAN} is of another run")


async def _pull(device: Device, name: str, into: Path) -> None:
    doing = f"copying {name} from it"
    argv = device.tools.fetching(device.udid, device.products.bundle, name, into)
    done = await device.run(argv, device.job.copy_timeout_s, doing, into)
    if done.code and device.tools.absent in device.tools.says(done).lower():
        raise InputError(f"{plain(device.udid)}: the app wrote no {name}; look at its screen, and run again")
    if done.code:
        raise trouble(device.tools, done, device.udid, doing)
    if (into / name).is_symlink() or not (into / name).is_file():
        raise InputError(f"{plain(device.udid)}: {name} is not a regular file; run again")


def _open_to_all(folder: Path) -> None:
    """Modes and owners may be copied too, and the app is to write its result beside the job."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)


def _merge(written: s.Result, device: Device, asked: AppJob, started: str, wrong: str | None) -> s.Result:
    """The app's samples, outputs, memory, state and runtime; all else as the driver knows it."""
    lab = s.Lab(provider=device.tools.provider, serial_sha256=sha256(device.udid.encode()).hexdigest())
    phone, runtime = dict(_plainly(written.device)), dict(_plainly(written.runtime))
    known = {"manufacturer": "Apple", "model": device.facts.model, "os": device.facts.os}
    phone |= {name: value for name, value in known.items() if phone[name] is None}
    errors = (*written.errors, *([wrong] if wrong else ()))
    return merged(
        written,
        asked,
        started,
        protocol={"screen_on": written.protocol.screen_on},
        tool=s.Tool(edgekit=VERSION, runner="ios-app", harness=device.tools.harness),
        runtime=s.Runtime(**{**runtime, "backend": backend_of(asked)}),
        device=s.Device(**{**phone, "lab": lab}),
        errors=tuple(plain(line) for line in errors)[-64:],
    )


def _plainly(model: s.Runtime | s.Device) -> Iterator[tuple[str, Any]]:
    """Its fields, with texts that are safe on a terminal."""
    for name, value in model:
        yield name, plain(value) or None if isinstance(value, str) else value
