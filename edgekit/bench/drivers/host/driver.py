"""Latency on this machine: artifacts take turns in one process on pinned cores, so that noise meets all alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import targets
from edgekit.artifact.manifest import toolchain
from edgekit.artifact.open import Artifact, open_artifact
from edgekit.bench import schema as s
from edgekit.bench.drivers.host import fresh, machine
from edgekit.bench.golden import TOLERANCE, Golden, golden_of
from edgekit.bench.request import BenchRequest
from edgekit.bench.results.validity import judge
from edgekit.errors import UsageError
from edgekit.metrics.retrieval import cosine
from edgekit.metrics.statistics import summarize
from edgekit.support import interrupt
from edgekit.support.files import sha256_file, sha256_tree, size_of
from edgekit.support.version import VERSION

if TYPE_CHECKING:
    from edgekit.support.progress import Reporter, Tick
    from edgekit.targets import TimedRunner

__all__ = ["bench_host", "model_of"]

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
        found = self.runner.run(self.ready[index])
        took = (time.perf_counter_ns() - started) / 1e6
        due = self.golden.embeddings[index]
        kept = float(cosine(found[None], due[None])[0])
        self.min_cosine = min(self.min_cosine, kept) if np.isfinite(kept) else -1.0
        self.max_abs = max(self.max_abs, float(np.nan_to_num(np.abs(found - due).max(), nan=1e6, posinf=1e6)))
        return took

    def check(self) -> s.Check:
        """What the comparisons came to."""
        return s.Check(
            images=len(self.ready),
            min_cosine=round(max(-1.0, min(1.0, self.min_cosine)), 8),
            max_abs=round(self.max_abs, 8),
            passed=self.min_cosine >= TOLERANCE,
        )


def bench_host(request: BenchRequest, reporter: Reporter) -> list[s.Result]:
    """Measure the artifacts; one result each, in their order. Those that run here on a stand-in are named and left out.

    Raises:
        EdgeKitError: an artifact cannot be opened, or all run here on a stand-in.
    """
    if not request.artifacts:
        raise UsageError("nothing to measure: name an artifact")
    if len(request.artifacts) > _MOST:
        raise UsageError(f"{len(request.artifacts)} artifacts; at most {_MOST} can take turns")
    with machine.pinned(request.threads) as cores:
        return _measure(request, cores, reporter)


def _measure(request: BenchRequest, cores: tuple[int, ...] | None, reporter: Reporter) -> list[s.Result]:
    run_id, started_utc = s.new_run()
    contenders = [_contender(artifact, request, reporter) for artifact in _open(request, reporter)]
    before = machine.state()
    with reporter.stage("measure, turn by turn") as tick:
        _take_turns(contenders, request, tick)
    states = s.States(before=before, after=machine.state())
    models = [model_of(one.artifact) for one in contenders]
    found = []
    for one, model in zip(contenders, models, strict=True):
        host = one.artifact.target.runtime
        runtime = s.Runtime(
            name=one.runner.runtime,
            version=toolchain([host.package]).get(host.package),
            backend=host.backend,
            threads=request.threads if host.threads else None,
            cores=cores,
        )
        protocol = s.Protocol(
            warmup=request.warmup,
            min_iterations=request.min_iterations,
            min_duration_s=request.min_duration_s,
            iterations=len(one.samples),
            inputs=len(one.ready),
            interleaved_with=tuple(other.sha256 for other in models if other is not model),
        )
        latency = s.Latency(
            cold_load=one.cold.cold_load,
            warm_load=_reopen(one.artifact, request.threads),
            first=one.cold.first,
            samples=tuple(round(sample, 6) for sample in one.samples),
        )
        result = s.Result(
            run_id=run_id,
            started_utc=started_utc,
            tool=s.Tool(edgekit=VERSION, runner="host"),
            model=model,
            runtime=runtime,
            device=machine.device(),
            protocol=protocol,
            state=states,
            latency_ms=summarize(latency),
            memory_bytes=s.Memory(peak_rss=one.cold.peak_rss, loaded=one.cold.loaded),
            check=one.check(),
            validity=s.Validity(valid=False),
        )
        found.append(judge(result))
    return found


def model_of(artifact: Artifact) -> s.Model:
    """The artifact as a result names it."""
    path, manifest = artifact.path, artifact.manifest
    return s.Model(
        name=path.stem[:500],
        format=artifact.target.format,
        sha256=sha256_tree(path) if path.is_dir() else sha256_file(path),
        bytes=size_of(path),
        precision=None if manifest is None else manifest.precision,
        parity_min_cosine=_parity(artifact),
        input=artifact.runner.input_size,
    )


def _parity(artifact: Artifact) -> float | None:
    parity = None if artifact.manifest is None else artifact.manifest.parity
    return None if parity is None or parity.min_cosine is None else min(1.0, parity.min_cosine)


def _open(request: BenchRequest, reporter: Reporter) -> list[Artifact]:
    opened = []
    for path in request.artifacts:
        with reporter.stage(f"open {path.name}"):
            opened.append(open_artifact(path, allow_bare=request.allow_bare, threads=request.threads))
    real = [one for one in opened if not one.runner.reference]
    if real:
        for one in (one for one in opened if one.runner.reference):
            reporter.note(f"{one.path.name} is not measured: it runs here on a stand-in; a Mac or a phone can do it")
    return real or opened


def _contender(artifact: Artifact, request: BenchRequest, reporter: Reporter) -> _Contender:
    runner = targets.timed(artifact.runner)
    with reporter.stage(f"load {artifact.path.name} in a fresh process"):
        golden = golden_of(artifact, request.images)
        cold = fresh.start(artifact.path, artifact.target, request.threads)
    return _Contender(artifact, runner, golden, [runner.ready(image) for image in golden.images], cold, [])


def _take_turns(contenders: Sequence[_Contender], request: BenchRequest, tick: Tick) -> None:
    """Rounds in which every artifact has one turn, forwards and backwards, until all have enough."""
    for number in range(request.warmup):
        for one in contenders:
            one.turn(number)
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
            interrupt.check()
    finally:
        gc.enable()


def _reopen(artifact: Artifact, threads: int) -> float:
    """Milliseconds of opening an artifact that this process has opened before."""
    backend = artifact.target.backend()
    started = time.perf_counter()
    backend.open(artifact.path, threads=threads)
    return round(1e3 * (time.perf_counter() - started), 6)
