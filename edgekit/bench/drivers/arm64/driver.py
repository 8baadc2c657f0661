"""Run files on arm64 without an arm64 machine: the native runner under qemu. What comes of it is marked as emulated."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from edgekit.bench import schema as s
from edgekit.bench.drivers.android.native import options_of
from edgekit.bench.drivers.arm64.machine import CPU, Machine, open_machine
from edgekit.bench.drivers.base import Outcome, Say, plain
from edgekit.bench.drivers.phone import PhoneJob, merged, opened, result_of
from edgekit.bench.drivers.program import call
from edgekit.bench.golden import Pair
from edgekit.bench.protocol import AppJob
from edgekit.bench.request import BenchRequest
from edgekit.errors import DeviceError, InputError
from edgekit.support.progress import Reporter
from edgekit.support.version import VERSION

__all__ = ["Arm64Driver", "Arm64Job", "run"]

NAME = f"arm64 ({CPU}, qemu)"
_ANSWER = 1 << 16  # bytes of what the runner says
_SLOWEST = 120.0  # seconds of an inference that are waited for: qemu is some hundred times slower than a processor


@dataclass(frozen=True, kw_only=True)
class Arm64Job(PhoneJob):
    """What to run on the emulated machine."""

    machine: Machine

    @property
    def limit_s(self) -> float:
        """Seconds that a run may take: it depends on the number of inferences, which are slow."""
        return super().limit_s + _SLOWEST * (self.asked.warmup + self.asked.iterations + 1)


class Arm64Driver:
    """The driver of the emulated machine, of which there is one."""

    def __init__(self, request: BenchRequest, reporter: Reporter) -> None:
        self._request, self._reporter = request, reporter

    async def choose(self) -> list[str]:
        """The only one."""
        return [NAME]

    @contextmanager
    def prepare(self, artifacts: Sequence[Path]) -> Iterator[Arm64Job]:
        """The job of running the only one of `artifacts`.

        Raises:
            MissingDependencyError: the machine is not set up, or has no runtime for the artifact's format.
            EdgeKitError: the artifact cannot be opened.
        """
        (path,), machine = artifacts, open_machine()
        job = Arm64Job(machine=machine, **opened(path, self._request, self._reporter))
        machine.library(job.asked.format)
        yield job

    async def measure(self, job: Arm64Job, serial: str, say: Say) -> AsyncIterator[Outcome]:
        """Run once; raises as `run`."""
        await asyncio.to_thread(job.check)
        run_id, _ = s.new_run()
        asked = job.asked.model_copy(update={"run_id": run_id})
        say("run under qemu")
        with TemporaryDirectory(prefix="edgekit-") as folder:
            result = await run(job, asked, job.golden, Path(folder))
        yield Outcome(serial, result)

    async def restore(self, serial: str) -> list[str]:
        """Nothing: a run leaves nothing behind."""
        return []


async def run(job: Arm64Job, asked: AppJob, golden: Pair, folder: Path) -> s.Result:
    """Run `asked`, whose images and embeddings are `golden`, in `folder`, where its files are afterwards.

    Raises:
        DeviceError: the runner fails, or does not end in time.
        InputError: it wrote no result, or that of another run.
    """
    machine, (_, started) = job.machine, s.new_run()
    golden.write(folder / asked.images, folder / asked.golden)
    names = {"model": job.model, "inputs": folder / asked.images, "golden": folder / asked.golden}
    here = asked.model_copy(update={name: str(path) for name, path in {**names, "out": folder / asked.out}.items()})
    settings = [f"{name}={value}" for name, value in machine.environment.items()]
    command = [*machine.prefix, str(machine.runner), *options_of(here, str(machine.library(asked.format)))]
    done = await call(
        ["env", *settings, *command],
        job.limit_s,
        where=NAME,
        doing="running the model",
        missing="install coreutils",
        limit=_ANSWER,
    )
    if done.code != 0:
        said = done.errors.strip().splitlines()[-1:] or [f"exit code {done.code}"]
        raise DeviceError(f"{NAME}: the runner fails ({plain(said[0], 600)})")
    if not (folder / asked.out).is_file():
        raise InputError(f"{NAME}: the runner wrote no result; set the machine up again")
    written = result_of(folder / asked.out, NAME, asked, "android")
    return merged(
        written,
        asked,
        started,
        tool=s.Tool(edgekit=VERSION, runner="android-native", harness="qemu-user"),
        runtime=written.runtime.model_copy(
            update={"version": machine.versions[asked.format], "threads": asked.threads, "cores": None}
        ),
        device=_device(),
    )


def _device() -> s.Device:
    return s.Device(
        platform="linux",
        model="arm64 under qemu-user",
        soc=CPU,
        abi="arm64",
        os=f"Linux {os.uname().release}",
        emulated=True,
    )
