"""An arm64 machine for tests: qemu's user mode, Debian's arm64 C libraries and the arm64 wheels of the runtimes."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

from .harness import ZIG, build, tool

LIBRARIES = Path("/usr/aarch64-linux-gnu/lib")
NEEDED = "libc6-arm64-cross libstdc++6-arm64-cross libgcc-s1-arm64-cross"
# The runtime looks its processor up here, and the one of the machine that emulates is of another kind.
CPUINFO = """\
processor\t: 0
BogoMIPS\t: 100.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd07
CPU revision\t: 0

"""


@dataclass(frozen=True)
class Arm64:
    """How to start an arm64 program here: `[*prefix, program, *arguments]` with `environment`."""

    prefix: tuple[str, ...]
    environment: dict[str, str]
    runner: Path
    library: Path  # ONNX Runtime's
    lite_library: Path


def arm64_machine(folder: Path, cache: Path) -> Arm64:
    """Build the runner into `folder`; the wheels are downloaded into `cache` once."""
    qemu = tool("qemu-aarch64-static", "qemu-user-static")
    for name in ("libc.so.6", "libstdc++.so.6", "libgcc_s.so.1"):
        if not (LIBRARIES / name).exists():
            pytest.fail(f"{LIBRARIES / name} is not there, which this test needs: apt-get install {NEEDED}")
    root = folder / "root"
    (root / "proc").mkdir(parents=True)
    (root / "proc" / "cpuinfo").write_text(CPUINFO)  # qemu opens what is in its root before the machine's own
    (root / "lib").symlink_to(LIBRARIES)
    runner = build(folder / "edgekit_bench", [*ZIG, "-target", "aarch64-linux-gnu.2.28"])
    return Arm64((qemu, "-L", str(root)), {"QEMU_CPU": "cortex-a57"}, runner, *arm64_libraries(cache))


def arm64_libraries(cache: Path) -> tuple[Path, Path]:
    """libonnxruntime.so and libLiteRt.so for arm64 Linux."""
    return arm64_library(cache, "onnxruntime", "capi/libonnxruntime.so."), arm64_library(
        cache, "ai-edge-litert", "libLiteRt.so"
    )


def arm64_library(cache: Path, package: str, part: str) -> Path:
    """A library for arm64 Linux, of the same version as the installed wheel: the only one whose path has `part`."""
    folder = cache / f"{package}-{version(package)}"
    found = sorted(folder.glob("lib*.so*"))
    if found:
        return found[0]
    wheels = cache / "wheels"
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (17, 27, 28)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--no-deps", *platforms]
    command += ["--dest", str(wheels), f"{package}=={version(package)}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode != 0:
        pytest.fail(f"the arm64 wheel of {package} cannot be downloaded: {done.stderr.strip()[-500:]}")
    (wheel,) = wheels.glob(f"{package.replace('-', '_')}-{version(package)}-*aarch64.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if part in name)
        partial = folder / ".partial"
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(archive.read(name))
    return partial.rename(folder / Path(name).name)
