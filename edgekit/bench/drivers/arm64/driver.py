"""Run files on arm64 without an arm64 machine: the native runner under qemu. What comes of it is marked as emulated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgekit.bench import schema as s
from edgekit.bench.drivers.android.native import options_of
from edgekit.bench.drivers.arm64.embed import in_pieces, joined, said
from edgekit.bench.drivers.arm64.machine import CPU, Machine, open_machine
from edgekit.bench.drivers.base import Outcome, Say, plain
from edgekit.bench.drivers.phone import PhoneJob, merged, opened, result_of, rows_of
from edgekit.bench.drivers.program import call
from edgekit.bench.golden import Golden
from edgekit.bench.protocol import AppJob
from edgekit.bench.request import BenchRequest
from edgekit.errors import DeviceError, InputError
from edgekit.support.progress import Reporter
from edgekit.support.threads import cores
from edgekit.support.version import VERSION

__all__ = ["Arm64Driver", "Arm64Job"]

NAME = f"arm64 ({CPU}, qemu)"
DEVICE = s.Device(platform="linux", model="arm64 under qemu-user", soc=CPU, os="Linux", abi="arm64", emulated=True)
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
        """Run once, or in pieces where embeddings are asked for.

        Raises:
            IntegrityError: the model, or what the runner wrote, has changed since.
            DeviceError: the runner fails, or does not end in time.
            InputError: it wrote no result, that of another run, or too few embeddings.
        """
        await asyncio.to_thread(job.check)
        run_id, _ = s.new_run()
        asked = job.asked.model_copy(update={"run_id": run_id})
        with TemporaryDirectory(prefix="edgekit-") as folder:
            job.golden.write(Path(folder) / asked.images, Path(folder) / asked.golden)
            if asked.embeddings is None:
                say("run under qemu")
                result, rows = await _run(job, asked, Path(folder))
            else:
                result, rows = await _run_pieces(job, asked, Path(folder), say)
        yield Outcome(serial, result, embeddings=rows)

    async def restore(self, serial: str) -> list[str]:
        """Nothing: a run leaves nothing behind."""
        return []


async def _run_pieces(job: Arm64Job, asked: AppJob, folder: Path, say: Say) -> tuple[s.Result, np.ndarray]:
    """Several processes at once, one a core."""
    processes = cores()
    free, more = asyncio.Semaphore(processes), said(say, asked.count)
    say("start qemu")

    async def one(number: int, piece: AppJob, golden: Golden) -> tuple[s.Result, np.ndarray]:
        async with free:
            own = folder / str(number)
            own.mkdir()
            golden.write(own / piece.images, own / piece.golden)
            result, rows = await _run(job, piece, own)
            assert rows is not None  # the job asks for them
            more(len(rows))
            return result, rows

    pieces = in_pieces(asked, folder, processes)
    running = [asyncio.ensure_future(one(number, *piece)) for number, piece in enumerate(pieces)]
    try:
        done = await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    rows = np.concatenate([rows for _, rows in done])
    return joined(asked, [result for result, _ in done], rows), rows


async def _run(job: Arm64Job, asked: AppJob, folder: Path) -> tuple[s.Result, np.ndarray | None]:
    """Run `asked`, whose images and golden embeddings are in `folder`; its embeddings where it asks for them."""
    machine, (_, started) = job.machine, s.new_run()
    files = {"model": job.model} | {name: folder / getattr(asked, name) for name in ("inputs", "golden", "out")}
    here = asked.model_copy(update={name: str(path) for name, path in files.items()})
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
        words = done.errors.strip().splitlines()[-1:] or [f"exit code {done.code}"]
        raise DeviceError(f"{NAME}: the runner fails ({plain(words[0], 600)})")
    if not files["out"].is_file():
        raise InputError(f"{NAME}: the runner wrote no result; set the machine up again")
    written = result_of(files["out"], NAME, asked, "android")
    rows = None if asked.embeddings is None else rows_of(folder / asked.embeddings, NAME, written, asked)
    runtime = {"version": machine.versions[asked.format], "threads": asked.threads, "cores": None}
    tool = s.Tool(edgekit=VERSION, runner="android-native", harness="qemu-user")
    known: dict[str, Any] = {"tool": tool, "device": DEVICE, "runtime": written.runtime.model_copy(update=runtime)}
    return merged(written, asked, started, **known), rows
