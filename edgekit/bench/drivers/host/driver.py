"""Latency on this machine: artifacts take turns in one process on pinned cores, so that noise meets all alike."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import targets
from edgekit.artifact.manifest import toolchain
from edgekit.artifact.open import Artifact, open_artifact
from edgekit.bench import schema as s
from edgekit.bench.drivers.base import Outcome, Say
from edgekit.bench.drivers.host import fresh, machine
from edgekit.bench.golden import TOLERANCE, Golden, golden_of, model_of
from edgekit.bench.request import BenchRequest
from edgekit.bench.results.validity import judge, summarize
from edgekit.errors import UsageError
from edgekit.metrics.retrieval import cosine
from edgekit.support.progress import Reporter, Tick
from edgekit.support.version import VERSION
from edgekit.targets import TimedRunner

__all__ = ["HERE", "HostDriver"]

HERE = "this machine"
_MOST = 64  # artifacts in a run


@dataclass
class _Contender:
    """One artifact on its way through the measurement."""

    artifact: Artifact
    runner: TimedRunner
    golden: Golden
    ready: list[Any]
    cold: fresh.Fresh
    samples: list[float]
    min_cosine: float = 1.0
    max_abs: float = 0.0

    def turn(self, number: int) -> float:
        """Run the next image, compare its embedding with the golden one; milliseconds of the run."""
        index = number % len(self.ready)
        started = time.perf_counter_ns()
        embedding = self.runner.run(self.ready[index])
        took = (time.perf_counter_ns() - started) / 1e6
        due = self.golden.embeddings[index]
        near = float(cosine(embedding[None], due[None])[0])
        self.min_cosine = min(self.min_cosine, near) if np.isfinite(near) else -1.0
        self.max_abs = max(self.max_abs, float(np.nan_to_num(np.abs(embedding - due).max(), nan=1e6, posinf=1e6)))
        return took

    def check(self) -> s.Check:
        """What the comparisons came to."""
        return s.Check(
            images=len(self.ready),
            min_cosine=round(max(-1.0, min(1.0, self.min_cosine)), 8),
            max_abs=round(self.max_abs, 8),
            passed=self.min_cosine >= TOLERANCE,
        )


# The cores to stay on, or None where that cannot be set, and those that take turns there.
_Turns = tuple[tuple[int, ...] | None, Sequence[_Contender]]


class HostDriver:
    """The driver of this machine; UsageError where there is nothing to measure, or too much of it."""

    def __init__(self, request: BenchRequest, reporter: Reporter) -> None:
        if not request.artifacts:
            raise UsageError("there is nothing to measure; name an artifact", field="artifacts")
        if len(request.artifacts) > _MOST:
            raise UsageError(
                f"{len(request.artifacts)} artifacts are given; at most {_MOST} can take turns, leave some out",
                field="artifacts",
            )
        self._request, self._reporter, self._threads = request, reporter, request.threads or 1

    async def choose(self) -> list[str]:
        """This machine alone."""
        return [HERE]

    @contextmanager
    def prepare(self, artifacts: Sequence[Path]) -> Iterator[_Turns]:
        """Stay on some cores, open the artifacts, and load each in a fresh process; EdgeKitError where one cannot be.

        Those that run here on a stand-in are named and left out; where all do, that is the error.
        """
        with machine.pinned(self._threads) as cores:
            yield cores, [self._contender(artifact) for artifact in self._open(artifacts)]

    async def measure(self, job: _Turns, serial: str, say: Say) -> AsyncIterator[Outcome]:
        """Measure turn by turn; an outcome for each artifact, in their order."""
        request, (run_id, started_utc), (cores, contenders) = self._request, s.new_run(), job
        before = machine.state()
        with self._reporter.stage("measure, turn by turn") as tick:
            await _take_turns(contenders, request, tick)
        states = s.States(before=before, after=machine.state())
        models = [model_of(contender.artifact) for contender in contenders]
        for contender, model in zip(contenders, models, strict=True):
            host = contender.artifact.target.runtime
            latency = s.Latency(
                cold_load=contender.cold.cold_load,
                warm_load=_reopen(contender.artifact, self._threads),
                first=contender.cold.first,
                samples=tuple(round(sample, 6) for sample in contender.samples),
            )
            protocol = s.Protocol(
                warmup=request.warmup,
                min_iterations=request.min_iterations,
                min_duration_s=request.min_duration_s,
                iterations=len(contender.samples),
                inputs=len(contender.ready),
                interleaved_with=tuple(other.sha256 for other in models if other is not model),
            )
            result = s.Result(
                run_id=run_id,
                started_utc=started_utc,
                tool=s.Tool(edgekit=VERSION, runner="host"),
                model=model,
                runtime=s.Runtime(
                    name=contender.runner.runtime,
                    version=toolchain([host.package]).get(host.package),
                    backend=host.backend,
                    threads=self._threads if host.threads else None,
                    cores=cores,
                ),
                device=machine.device(),
                protocol=protocol,
                state=states,
                latency_ms=summarize(latency),
                memory_bytes=s.Memory(peak_rss=contender.cold.peak_rss, loaded=contender.cold.loaded),
                check=contender.check(),
                validity=s.Validity(valid=False),
            )
            yield Outcome(serial, judge(result))

    async def restore(self, serial: str) -> list[str]:
        """Nothing: `prepare` lets the cores go."""
        return []

    def _open(self, paths: Sequence[Path]) -> list[Artifact]:
        opened = []
        for path in paths:
            with self._reporter.stage(f"open {path.name}"):
                opened.append(open_artifact(path, allow_bare=self._request.allow_bare, threads=self._threads))
        real = [artifact for artifact in opened if not artifact.runner.reference]
        for artifact in opened if real else ():
            if artifact.runner.reference:
                why = "it runs here on a stand-in; a Mac or a phone can do it"
                self._reporter.note(f"{artifact.path.name} is not measured: {why}")
        return real or opened

    def _contender(self, artifact: Artifact) -> _Contender:
        runner = targets.timed(artifact.runner)
        with self._reporter.stage(f"load {artifact.path.name} in a fresh process"):
            golden = golden_of(artifact, self._request.images)
            cold = fresh.start(artifact.path, artifact.target, self._threads)
        return _Contender(artifact, runner, golden, [runner.ready(image) for image in golden.images], cold, [])


async def _take_turns(contenders: Sequence[_Contender], request: BenchRequest, tick: Tick) -> None:
    """Rounds in which every artifact has one turn, forwards and backwards, until all have enough."""
    for number in range(request.warmup):
        for contender in contenders:
            contender.turn(number)
        await asyncio.sleep(0)  # Ctrl-C is noticed here
    total = [0.0] * len(contenders)
    number = 0
    gc.collect()
    gc.disable()
    try:
        while number < s.MAX_SAMPLES and (number < request.min_iterations or min(total) < request.min_duration_s):
            order = range(len(contenders)) if number % 2 == 0 else reversed(range(len(contenders)))
            for index in order:
                took = contenders[index].turn(number)
                contenders[index].samples.append(took)
                total[index] += took / 1e3
            number += 1
            share = min(number / max(request.min_iterations, 1), min(total) / max(request.min_duration_s, 1e-9))
            tick(round(1000 * min(1.0, share)), 1000, f"{number} rounds")
            await asyncio.sleep(0)  # and here
    finally:
        gc.enable()


def _reopen(artifact: Artifact, threads: int) -> float:
    """Milliseconds of opening an artifact that this process has opened before."""
    backend = artifact.target.backend()
    started = time.perf_counter()
    backend.open(artifact.path, threads=threads)
    return round(1e3 * (time.perf_counter() - started), 6)
