"""Build the native runner, and what it opens for ExecuTorch, from the package's sources with GCC."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from edgekit.errors import MissingDependencyError
from edgekit.support.files import list_files
from edgekit.support.text import shown
from edgekit.support.version import VERSION

__all__ = ["GLUE", "RUNNER", "build_glue", "build_runner", "digest_of_sources"]

RUNNER, GLUE = "edgekit_bench", "libedgekit_executorch.so"
_PATIENCE = 600.0  # seconds
_C = ["-std=c11", "-O2", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64"]
_CPP = ["-std=c++17", "-O2", "-shared", "-fPIC", "-fvisibility=hidden"]
# What share/cmake/executorch-config.cmake of the wheel asks of whoever compiles against it.
_DEFINED = ["-DC10_USING_CUSTOM_GENERATED_MACROS", "-DET_EVENT_TRACER_ENABLED"]
_C10 = "executorch/runtime/core/portable_type/c10"


def build_runner(folder: Path, toolchain: str = "") -> Path:
    """Compile `edgekit_bench` into `folder`.

    Args:
        folder: where it goes.
        toolchain: what the compilers' names begin with: "aarch64-linux-gnu-"; "" builds for this machine.

    Raises:
        MissingDependencyError: there is no such compiler, or it cannot compile the runner.
    """
    with as_file(files("edgekit.bench") / "native") as sources:
        paths = sorted(map(str, sources.glob("*.c")))
        out = folder / RUNNER
        _compile([f"{toolchain}gcc", *_C, f'-DEDGEKIT_VERSION="{VERSION}"', "-o", str(out), *paths, "-ldl", "-lm"])
    return out


def build_glue(folder: Path, version: str, toolchain: str = "") -> Path:
    """Compile what the runner opens for `.pte` files, against the headers of the installed ExecuTorch.

    Args:
        folder: where it goes; ExecuTorch's libraries, of the toolchain's processor, are there already.
        version: of those.
        toolchain: as of `build_runner`.

    Raises:
        MissingDependencyError: there is no such compiler, or it cannot compile it.
    """
    import executorch

    (package,) = executorch.__path__
    include = Path(package) / "include"
    out = folder / GLUE
    # Each registers its kernels or itself as it is loaded: none may be left out because nothing of it is called.
    linked = [f"-l{path.stem.removeprefix('lib')}" for path in sorted(folder.glob("libexecutorch*.so"))]
    with as_file(files("edgekit.bench") / "native") as sources:
        command = [f"{toolchain}g++", *_CPP, *_DEFINED, f'-DEDGEKIT_EXECUTORCH_VERSION="{version}"']
        command += ["-isystem", str(include), "-isystem", str(include / _C10), "-o", str(out)]
        command += [str(sources / "executorch" / "glue.cpp"), f"-L{folder}", "-Wl,--no-as-needed", *linked]
        _compile([*command, "-Wl,-rpath,$ORIGIN"])
    return out


def digest_of_sources() -> str:
    """SHA-256 of all sources and of the version that is compiled in, in hex."""
    digest = hashlib.sha256(VERSION.encode())
    with as_file(files("edgekit.bench") / "native") as sources:
        for name in list_files(sources):
            digest.update(name.encode() + b"\0" + (sources / name).read_bytes())
    return digest.hexdigest()


def _compile(command: Sequence[str]) -> None:
    if shutil.which(command[0]) is None:
        raise MissingDependencyError(f"the compiler {command[0]} is not installed, which builds the native runner")
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise MissingDependencyError(f"{command[0]} did not build the native runner in {_PATIENCE:.0f} s") from error
    if done.returncode != 0:
        lines = (
            [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["nothing"]
        )
        raise MissingDependencyError(f"{command[0]} does not build the native runner ({shown(lines[0])})")
