"""From an artifact to results from phones: what is fed to them, and the driver that takes it there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.artifact.folder import find
from edgekit.artifact.open import open_artifact
from edgekit.bench.drivers.base import Outcome, run
from edgekit.bench.golden import golden_of
from edgekit.bench.protocol import COMPUTE_UNITS, ComputeUnits, job_of
from edgekit.bench.request import BenchRequest
from edgekit.errors import EdgeKitError, InputError, UsageError

if TYPE_CHECKING:
    from edgekit.bench.drivers.ios.driver import IosOutcome
    from edgekit.support.progress import Reporter

__all__ = ["PhoneRequest", "bench_iphones", "bench_phones"]


@dataclass(frozen=True, kw_only=True)
class PhoneRequest(BenchRequest):
    """On which devices to measure, with what.

    Android: `app` is the APK of android_bench, in place of which its native `runner` and ONNX Runtime's `library` may
    be given. iOS: `app` is the folder that Xcode built of ios_bench.
    """

    app: Path | None = None
    runner: Path | None = None
    library: Path | None = None
    serials: Sequence[str] = ()
    all_devices: bool = False
    airplane: bool = False
    stay_awake: bool = True
    cooldown_minutes: float = 5.0
    compute_units: Sequence[ComputeUnits] = ()


def bench_iphones(request: PhoneRequest, reporter: Reporter) -> Iterator[Outcome]:
    """Measure the artifacts one after the other, each on all chosen iPhones at once; an outcome each and compute unit.

    Raises:
        UsageError: no app, another format than Core ML's, or no device is chosen.
        EdgeKitError: an artifact cannot be opened, or a program that reaches iPhones is not installed.
    """
    if request.app is None:
        raise UsageError("--on ios needs --app, the folder that Xcode built; ios_bench/README.md says how")
    if request.runner is not None or request.library is not None:
        raise UsageError("--runner and --library are for --on android: leave them out")
    from edgekit.bench.drivers.ios.app import find_products

    app = request.app
    find_products(app)  # says at once what is wrong with it
    _require(request, (".mlpackage",), "iPhones take")
    from edgekit.bench.drivers.ios.driver import choose, tools_of

    # Once: a phone that is lost between two artifacts is an outcome, too.
    udids = run(choose(tools_of(), request.serials, every=request.all_devices))
    return _each(request, lambda path: _on_iphones(path, app, udids, request, reporter))


def _on_iphones(
    path: Path, app: Path, udids: Sequence[str], request: PhoneRequest, reporter: Reporter
) -> list[IosOutcome]:
    from edgekit.bench.drivers.ios import driver as ios

    with reporter.stage(f"open {path.name}"):
        artifact = open_artifact(path, allow_bare=request.allow_bare)
        golden = golden_of(artifact, request.images)
        job = ios.IosJob(
            model=artifact.path,
            golden=golden,
            asked=job_of(artifact, golden, request, "0" * 32),
            app=app,
            compute_units=request.compute_units or COMPUTE_UNITS[:1],
        )
    with reporter.board(f"measure {path.name} on devices") as say:
        return run(ios.bench_phones(ios.tools_of(), job, udids, say=say))


def bench_phones(request: PhoneRequest, reporter: Reporter) -> Iterator[Outcome]:
    """Measure the artifacts one after the other, each on all chosen Android devices at once; an outcome each.

    Raises:
        UsageError: nothing that measures is given, or it does not take this format, or no device is chosen.
        EdgeKitError: an artifact cannot be opened, or there is no adb.
    """
    tools = {"--app": request.app, "--runner": request.runner, "--library": request.library}
    given = {name for name, path in tools.items() if path is not None}
    if request.compute_units:
        raise UsageError("--compute-units is for --on ios: leave it out")
    if given not in ({"--app"}, {"--runner", "--library"}):
        raise UsageError(
            "--on android needs --app, or --runner and --library; android_bench/README.md says how to get them"
        )
    for name, path in tools.items():
        if path is not None and not path.is_file():
            raise InputError(f"{path}: no such file for {name}; android_bench/README.md says how to get one")
    if request.app is None:
        _require(request, (".onnx",), "the native runner takes")
    else:
        _require(request, (".onnx", ".pte"), "the app takes")
    from edgekit.bench.drivers.android.adb import Adb
    from edgekit.bench.drivers.android.driver import choose

    serials = run(choose(Adb(), request.serials, every=request.all_devices))
    return _each(request, lambda path: _on_android(path, serials, request, reporter))


def _require(request: PhoneRequest, taken: Sequence[str], who: str) -> None:
    """Say before a long measurement, not after it, that an artifact cannot be measured there."""
    for path in request.artifacts:
        artifact, _ = find(path)
        if artifact.suffix not in taken:
            raise UsageError(f"{artifact}: {who} {' and '.join(taken)}; give one of those")


def _each(request: PhoneRequest, measure: Callable[[Path], Sequence[Outcome]]) -> Iterator[Outcome]:
    """The outcomes as they come. An artifact that fails altogether is one too, unless it is the first."""
    for number, path in enumerate(request.artifacts):
        try:
            yield from measure(path)
        except EdgeKitError as error:
            if number == 0:
                raise
            yield Outcome(path.name, error=error)


def _on_android(path: Path, serials: Sequence[str], request: PhoneRequest, reporter: Reporter) -> list[Outcome]:
    from edgekit.bench.drivers.android.adb import Adb
    from edgekit.bench.drivers.android.driver import Job, bench_devices

    with reporter.stage(f"open {path.name}"):
        artifact = open_artifact(path, allow_bare=request.allow_bare)
        golden = golden_of(artifact, request.images)
        asked = job_of(artifact, golden, request, "0" * 32)  # each run gets an identifier of its own
    with tempfile.TemporaryDirectory() as folder:
        inputs, answers = Path(folder) / "inputs.bin", Path(folder) / "golden.bin"
        inputs.write_bytes(np.ascontiguousarray(golden.images).tobytes())
        answers.write_bytes(np.ascontiguousarray(golden.embeddings, "<f4").tobytes())
        job = Job(
            model=artifact.path,
            asked=asked,
            inputs=inputs,
            golden=answers,
            runner=request.runner,
            library=request.library,
            app=request.app,
            airplane=request.airplane,
            stay_awake=request.stay_awake,
            cooldown_timeout_s=60 * request.cooldown_minutes,
        )
        with reporter.board(f"measure {path.name} on devices") as say:
            return run(bench_devices(Adb(), job, serials, say=say))
