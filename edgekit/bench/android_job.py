"""What is measured on Android devices, and the files that go there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgekit.bench import schema as s
from edgekit.bench.app_job import GOLDEN, INPUTS
from edgekit.errors import InputError, IntegrityError, UsageError
from edgekit.files import sha256_file, size_of

__all__ = ["APP", "LIBRARY", "RUNNER", "File", "Job", "pack"]

RUNNER, LIBRARY, APP = "edgekit_bench", "libonnxruntime.so", "app.apk"  # as they are called on the device


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to measure on every device, and how: with `app`, android_bench's APK, or with its native `runner` and the
    `library` that this opens.

    `inputs` holds `count` images uint8 RGB [N,H,W,3], `golden` their embeddings float32 little-endian [N,D] as the
    same model file gives them elsewhere; `facts` names the model in the result. `run_timeout_s` None allows five
    minutes beside three times `duration_s`. Other times are limits in seconds: of one question to the device, of one
    file's push, of the wait until its battery has at most `max_celsius`, and of putting it back as it was.

    Raises:
        UsageError: a number is out of its range, or it is not said what measures.
    """

    model: Path
    facts: s.Model
    runner: Path | None = None
    library: Path | None = None
    app: Path | None = None
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
        if (self.app is None) == (self.runner is None or self.library is None):
            raise UsageError("give the app, or the native runner and its library")

    @property
    def run_limit_s(self) -> float:
        """Seconds that measuring may take."""
        return self.run_timeout_s if self.run_timeout_s is not None else 300 + 3 * self.duration_s

    @property
    def model_name(self) -> str:
        """What the model is called on the device."""
        return "model" + {"onnx": ".onnx", "executorch": ".pte", "coreml": ".mlpackage"}[self.facts.format]


@dataclass(frozen=True)
class File:
    """A file of this machine, and what it is called in the run folder: never by the user's name."""

    local: Path
    name: str
    sha256: str
    bytes: int


def pack(job: Job) -> list[File]:
    """What is pushed, under names of ours."""
    sizes = {
        job.inputs: job.count * job.height * job.width * 3,
        job.golden: job.count * job.dim * 4,
        job.model: job.facts.bytes,
    }
    tools = {APP: job.app, RUNNER: job.runner, LIBRARY: job.library}
    names = {name: path for name, path in tools.items() if path is not None}
    names |= {job.model_name: job.model, INPUTS: job.inputs, GOLDEN: job.golden}
    files = [File(path, name, sha256_file(path), size_of(path)) for name, path in names.items()]
    for file in files:
        due = sizes.get(file.local, file.bytes)
        if file.bytes != due:
            raise InputError(f"{file.local}: {file.bytes} bytes, not the {due} that the job says")
        if file.name == job.model_name and file.sha256 != job.facts.sha256:
            raise IntegrityError(f"{file.local}: has changed since it was opened; start again")
    return files
