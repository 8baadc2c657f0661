"""What is measured on Android devices, and the files that go there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit.bench.protocol import AppJob
from edgekit.errors import InputError, IntegrityError, UsageError
from edgekit.support.files import sha256_file, size_of

__all__ = ["APP", "LIBRARY", "RUNNER", "File", "Job", "pack"]

RUNNER, LIBRARY, APP = "edgekit_bench", "libonnxruntime.so", "app.apk"  # as they are called on the device


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to measure on every device, and how: with `app`, android_bench's APK, or with its native `runner` and the
    `library` that this opens.

    `asked` is the job of the app, whose run is set anew for each; the native runner is told the same. `inputs` and
    `golden` are the files that it describes: images, and their embeddings as the same model file gives them elsewhere.
    `run_timeout_s` None allows five minutes beside three times the duration. Other times are limits in seconds: of one
    question to the device, of one file's push, of the wait until its battery has at most `max_celsius`, and of putting
    it back as it was.

    Raises:
        UsageError: it is not said what measures.
    """

    model: Path
    asked: AppJob
    inputs: Path
    golden: Path
    runner: Path | None = None
    library: Path | None = None
    app: Path | None = None
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
        if (self.app is None) == (self.runner is None or self.library is None):
            raise UsageError("give the app, or the native runner and its library")

    @property
    def run_limit_s(self) -> float:
        """Seconds that measuring may take."""
        return self.run_timeout_s if self.run_timeout_s is not None else 300 + 3 * self.asked.duration


@dataclass(frozen=True)
class File:
    """A file of this machine, and what it is called in the run folder: never by the user's name."""

    local: Path
    name: str
    sha256: str
    bytes: int


def pack(job: Job) -> list[File]:
    """What is pushed, under names of ours."""
    asked = job.asked
    sizes = {
        job.inputs: asked.count * asked.height * asked.width * 3,
        job.golden: asked.count * asked.dim * 4,
        job.model: asked.facts.bytes,
    }
    tools = {APP: job.app, RUNNER: job.runner, LIBRARY: job.library}
    names = {name: path for name, path in tools.items() if path is not None}
    names |= {asked.model: job.model, asked.inputs: job.inputs, asked.golden: job.golden}
    files = [File(path, name, sha256_file(path), size_of(path)) for name, path in names.items()]
    for file in files:
        due = sizes.get(file.local, file.bytes)
        if file.bytes != due:
            raise InputError(f"{file.local}: {file.bytes} bytes, not the {due} that the job says")
        if file.name == asked.model and file.sha256 != asked.facts.sha256:
            raise IntegrityError(f"{file.local}: has changed since it was opened; start again")
    return files
