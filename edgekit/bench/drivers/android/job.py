"""What is measured on Android devices, and the files that go there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edgekit.bench.constants import CONSTANTS
from edgekit.bench.drivers.phone import PhoneJob
from edgekit.bench.protocol import Accelerator
from edgekit.errors import UsageError
from edgekit.support.files import sha256_file, size_of

__all__ = ["APP", "LIBRARIES", "RUNNER", "AndroidJob", "File"]

GOLDEN: str = CONSTANTS["golden_file"]
RUNNER, APP = "edgekit_bench", "app.apk"  # as they are called on the device, like the library of each format:
LIBRARIES = {"onnx": "libonnxruntime.so", "litert": "libLiteRt.so"}


@dataclass(frozen=True)
class File:
    """A file or a golden folder of this machine, and what it is called in the run folder: never by the user's name.

    `checked` is whose hash is compared there: the file's, or that of golden.json, which has the hashes of the photos.
    """

    local: Path
    name: str
    sha256: str
    bytes: int
    checked: str

    @classmethod
    def of(cls, local: Path, name: str) -> File:
        """The file as it is now; InputError where it cannot be read."""
        whole = local / GOLDEN if local.is_dir() else local
        return cls(local, name, sha256_file(whole), size_of(local), f"{name}/{GOLDEN}" if local.is_dir() else name)


@dataclass(frozen=True, kw_only=True)
class AndroidJob(PhoneJob):
    """What to measure on every device, and how: with `app`, android_bench's APK, or with its native `runner` and the
    `library` that this opens.

    Each of `accelerators` is a run of its own, set anew in its job; None is the only run of a format that has none.
    The wait for a battery of at most `max_celsius` ends after `cooldown_timeout_s`; it is looked at every `poll_s`.

    Raises:
        UsageError: it is not said what measures, or the native runner cannot open the format.
    """

    runner: Path | None = None
    library: Path | None = None
    app: Path | None = None
    accelerators: Sequence[Accelerator | None] = (None,)
    airplane: bool = False
    stay_awake: bool = True
    max_celsius: float = 35.0
    cooldown_timeout_s: float = 300.0
    poll_s: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.app is None) == (self.runner is None or self.library is None):
            raise UsageError("give the app, or the native runner and its library")
        if self.runner is not None and self.asked.format not in LIBRARIES:
            raise UsageError(f"{self.model}: the native runner takes {' and '.join(LIBRARIES)} files; give the app")

    @cached_property
    def files(self) -> list[File]:
        """What is pushed beside the golden pair, under names of ours; raises as `check`, or InputError of a file."""
        self.check()
        tools = {APP: self.app, RUNNER: self.runner, self.asked.model: self.model}
        if self.library is not None:
            tools[LIBRARIES[self.asked.format]] = self.library
        return [File.of(path, name) for name, path in tools.items() if path is not None]
