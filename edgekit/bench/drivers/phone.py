"""What the drivers of phones share: the job, and the result that an app or a runner on the phone wrote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np

from edgekit.artifact.open import open_artifact
from edgekit.bench import schema as s
from edgekit.bench.drivers.base import plain
from edgekit.bench.golden import Pair, golden_of
from edgekit.bench.protocol import RESULT, AppJob, job_of
from edgekit.bench.request import BenchRequest
from edgekit.bench.results.validity import judge, summarize_measured
from edgekit.errors import InputError, IntegrityError
from edgekit.support.files import sha256_file, sha256_tree, size_of
from edgekit.support.progress import Reporter

__all__ = ["PhoneJob", "merged", "opened", "read_back", "result_of", "rows_of"]

_T = TypeVar("_T")
NO_EMBEDDINGS = "the app or runner is of another version: it measures and gives no embeddings"


@dataclass(frozen=True, kw_only=True)
class PhoneJob:
    """What to measure on every phone.

    `asked` is the job of the app or runner, whose run is set anew for each measurement; `golden` is what it describes.
    Times are limits in seconds: of one question to the phone, of one copy to or from it, of the run, and of restoring
    the phone. `run_timeout_s` None allows three times the duration and `spare_s` beside it.

    Raises:
        InputError: the images or golden embeddings have other sizes than `asked` says.
    """

    spare_s: ClassVar[float] = 300.0

    model: Path
    golden: Pair
    asked: AppJob
    step_timeout_s: float = 60.0
    copy_timeout_s: float = 600.0
    run_timeout_s: float | None = None
    cleanup_timeout_s: float = 30.0

    def __post_init__(self) -> None:
        asked = self.asked
        due = (asked.count, asked.height, asked.width, 3), (asked.count, asked.dim)
        if self.golden.sizes != due:
            raise InputError(
                f"{self.model}: images or golden embeddings do not have the sizes that the job says; start again"
            )

    @property
    def limit_s(self) -> float:
        """Seconds that a run may take."""
        return self.run_timeout_s if self.run_timeout_s is not None else self.spare_s + 3 * self.asked.duration

    def check(self) -> None:
        """Raises IntegrityError where the model is no longer what `asked` names."""
        facts = self.asked.facts
        if size_of(self.model) != facts.bytes or sha256_tree(self.model) != facts.sha256:
            raise IntegrityError(f"{self.model}: has changed since it was opened; start again")


def opened(path: Path, request: BenchRequest, reporter: Reporter) -> dict[str, Any]:
    """The fields `model`, `golden` and `asked` of a job; EdgeKitError where the artifact cannot be opened or run."""
    with reporter.stage(f"open {path.name}"):
        artifact = open_artifact(path, allow_bare=request.allow_bare)
        golden = golden_of(artifact, request.images)
        return {"model": artifact.path, "golden": golden, "asked": job_of(artifact, golden, request, "0" * 32)}


def read_back(reader: Callable[[Path], _T], path: Path, name: str) -> _T:
    """Read a file of a phone; InputError calls it `name`."""
    try:
        return reader(path)
    except InputError as error:
        raise InputError(plain(str(error).replace(str(path), name), 600)) from error


def result_of(path: Path, serial: str, asked: AppJob, platform: Literal["android", "ios"]) -> s.Result:
    """What a phone wrote; InputError where it is no result, or not of the run, model and platform asked for."""
    where = f"{plain(serial)}: "
    written = read_back(s.read_result, path, where + path.name)
    for what, value, due in (
        ("run", written.run_id, asked.run_id),
        ("model", written.model.sha256, asked.facts.sha256),
        ("platform", written.device.platform, platform),
    ):
        if value != due:
            raise InputError(f"{where}{RESULT} is of another {what} ({value[:12]}, not {due[:12]}); run again")
    return written


def rows_of(path: Path, serial: str, written: s.Result, asked: AppJob) -> np.ndarray:
    """The embeddings float32 [count,dim] that a phone wrote to `path` beside its result.

    Raises:
        InputError: the runner does not know the field, or gave embeddings of fewer or more images.
        IntegrityError: the file is not the one that it wrote.
    """
    where, said = plain(serial), written.embeddings
    if said is None:
        raise InputError(f"{where}: {NO_EMBEDDINGS}; build it again from this version")
    if said.rows != asked.count:
        raise InputError(f"{where}: gave {said.rows} embeddings for {asked.count} images; run again")
    due = 4 * asked.count * asked.dim
    if not path.is_file() or (size := size_of(path)) != due:
        found = f"{size} bytes" if path.is_file() else "no file"
        raise IntegrityError(f"{where}: {path.name} is {found}, {due} bytes are due; run again")
    if sha256_file(path) != said.sha256:
        raise IntegrityError(f"{where}: {path.name} was changed on the way; run again")
    return np.fromfile(path, "<f4").reshape(asked.count, asked.dim)


def merged(
    written: s.Result, asked: AppJob, started: str, *, protocol: dict[str, Any] | None = None, **known: Any
) -> s.Result:
    """The samples, outputs and memory that a phone measured (`written`); all else as the driver knows it.

    Args:
        protocol: how it was measured, beside what was asked for.
        known: `tool`, `device`, and what else of the result the driver knows better than the phone.
    """
    samples, check = written.latency_ms.samples, written.check
    near = check.min_cosine is not None and check.min_cosine >= asked.min_cosine
    fields: dict[str, Any] = {
        "run_id": written.run_id,
        "started_utc": started,
        "model": asked.facts,
        "protocol": s.Protocol(
            warmup=asked.warmup,
            min_iterations=asked.iterations,
            min_duration_s=asked.duration,
            iterations=len(samples),
            inputs=asked.count,
            **(protocol or {}),
        ),
        "state": written.state,
        "latency_ms": summarize_measured(written.latency_ms),
        "memory_bytes": written.memory_bytes,
        "embeddings": written.embeddings,
        "check": check.model_copy(update={"passed": check.passed and near and check.images > 0}),
        "validity": s.Validity(valid=False),
        "errors": tuple(plain(line) for line in written.errors),
        **known,
    }
    return judge(s.Result(**fields), background="background" in written.validity.reasons)
