"""Swift on Linux: compile what the app runs with a small command line, and run it on folders that the tests fill."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

SOURCES = Path(__file__).parents[2] / "ios_bench"
SHARED = Path(__file__).parents[2] / "edgekit/release/ios/swift/Shared"  # with the Swift packages of releases
HERE = Path(__file__).parent
RUN_ID = "0123456789abcdef" * 2
WARNED = ["-warnings-as-errors", "-swift-version"]
PACKAGES = "swiftlang,swiftlang-dev,libc6-dev,libstdc++-14-dev,ca-certificates,zlib1g-dev"
MISSING = (
    "no Swift compiler: put swiftc on PATH, or make a root with `ios_bench/swift-root.sh ROOT` "
    f"(debootstrap --variant=minbase --include={PACKAGES} trixie ROOT, and proc mounted) and set "
    "EDGEKIT_SWIFT_ROOT=ROOT"
)


@dataclass(frozen=True)
class Swift:
    """A compiler here or in a root folder, and a work folder that it can see."""

    root: Path | None
    work: Path

    def seen(self, path: Path) -> str:
        """How the compiler and its programs call a path."""
        return str(path) if self.root is None else "/" + path.relative_to(self.root).as_posix()

    def run(self, command: Sequence[str], timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a command there, in the work folder."""
        entered = ["sh", "-c", 'cd "$0" && exec "$@"', self.seen(self.work), *command]
        prefix = [] if self.root is None else ["env", "TMPDIR=/tmp", "chroot", str(self.root)]
        return subprocess.run(
            [*prefix, *entered], capture_output=True, text=True, errors="replace", timeout=timeout, check=False
        )

    def folder(self, name: str) -> Path:
        """An empty folder for one test."""
        return Path(tempfile.mkdtemp(prefix=name, dir=self.work))

    def sources(self, *folders: Path) -> list[str]:
        """Copies of all Swift files of the folders, where the compiler sees them."""
        found = []
        for folder in folders:
            copy = self.work / f"{folder.parent.name}-{folder.name}"
            shutil.copytree(folder, copy, dirs_exist_ok=True)
            found += [self.seen(path) for path in sorted(copy.glob("*.swift"))]
        return found


@contextmanager
def swift() -> Iterator[Swift]:
    """The compiler on PATH, or the one in EDGEKIT_SWIFT_ROOT; the test fails where there is none."""
    root = None
    if shutil.which("swiftc") is None:
        root = Path(os.environ.get("EDGEKIT_SWIFT_ROOT") or "/nonexistent")
        if not (root / "usr/bin/swiftc").exists():
            pytest.fail(MISSING)
    work = Path(tempfile.mkdtemp(prefix="edgekit-swift-", dir=None if root is None else root / "tmp"))
    try:
        yield Swift(root, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


@dataclass(frozen=True)
class Core:
    """The command line around the Core files; see swift/main.swift."""

    swift: Swift
    program: str

    def __call__(self, command: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
        """Run one command on a folder."""
        return self.swift.run([self.program, command, self.swift.seen(folder), *more])


def build(swift: Swift) -> Core:
    """Compile Core without a warning, and with it what runs Core AI models, on our own Core AI."""
    program = swift.work / "core"
    runtime, objects = simulated(swift, "CoreAI", "CryptoKit")
    needed = ("/PreparedCoreAI.swift", "/Digest.swift")
    tests = [path for path in swift.sources(SOURCES / "Tests") if path.endswith(needed)]
    files = [*swift.sources(SOURCES / "Core", SHARED, HERE / "swift"), *tests, *objects]
    _compiled(swift, [*WARNED, "5", "-I", runtime, "-o", swift.seen(program), *files])
    return Core(swift, swift.seen(program))


def simulated(swift: Swift, *names: str) -> tuple[str, list[str]]:
    """Declarations that work, compiled: the folder of their modules, and their object files."""
    folder = Path(tempfile.mkdtemp(prefix="simulated-", dir=swift.work))
    sources = {Path(path).stem: path for path in swift.sources(HERE / "declarations")}
    objects = []
    for name in names:
        objects.append(swift.seen(folder / f"{name}.o"))
        module = ["-emit-module", "-emit-module-path", swift.seen(folder / f"{name}.swiftmodule"), "-module-name", name]
        _compiled(swift, [*module, "-parse-as-library", *WARNED, "5", "-c", sources[name], "-o", objects[-1]])
    return swift.seen(folder), objects


def _compiled(swift: Swift, words: Sequence[str]) -> None:
    done = swift.run(["swiftc", "-O", "-wmo", *words])
    assert done.returncode == 0, done.stderr


def linear(images: np.ndarray, dim: int) -> np.ndarray:
    """The embeddings of the model in swift/main.swift."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    return (flat @ linear_weights(flat.shape[1], dim)).astype("<f4")


def linear_weights(values: int, dim: int) -> np.ndarray:
    """Of that model: float64 [values,dim]."""
    i, d = np.arange(values)[:, None], np.arange(dim)[None, :]
    return ((i * 31 + d * 17) % 101 - 50) / 1000


def facts(**changes: object) -> dict[str, object]:
    """The model part of a result."""
    given: dict[str, object] = {
        "name": 'töys "tower"',
        "format": "coreml",
        "sha256": "ab" * 32,
        "bytes": 2**53 + 1,
        "precision": None,
        "parity_min_cosine": 0.1 + 0.2,
        "input": [5, 7],
    }
    return given | changes


def write_job(folder: Path, images: np.ndarray, golden: np.ndarray, **changes: object) -> Path:
    """A job folder; `min_cosine=0.9` changes a key of job.json, `out=...` leaves one out."""
    images.tofile(folder / "inputs.bin")
    golden.astype("<f4").tofile(folder / "golden.bin")
    model = str(changes.get("model", "model.mlpackage"))
    (folder / model).mkdir(exist_ok=True)
    count, height, width, _ = images.shape
    given: dict[str, object] = {
        "schema": "edgekit.job/2",
        "run_id": RUN_ID,
        "model": model,
        "format": "coreml",
        "facts": facts(),
        "inputs": "inputs.bin",
        "golden": "golden.bin",
        "count": count,
        "height": height,
        "width": width,
        "dim": golden.shape[1],
        "layout": "nchw",
        "warmup": 2,
        "iterations": 10,
        "duration": 0,
        "threads": 1,
        "min_cosine": 0.9999,
        "compute_units": None,
        "out": "result.json",
    }
    document = {key: value for key, value in (given | changes).items() if value is not ...}
    (folder / "job.json").write_text(json.dumps(document))
    return folder
