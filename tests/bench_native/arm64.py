"""An arm64 machine for tests: qemu's user mode, Debian's arm64 C libraries and the arm64 wheel of onnxruntime."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import onnxruntime
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
    library: Path


def arm64_machine(folder: Path, cache: Path) -> Arm64:
    """Build the runner into `folder`; the wheel is downloaded into `cache` once."""
    qemu = tool("qemu-aarch64-static", "qemu-user-static")
    for name in ("libc.so.6", "libstdc++.so.6", "libgcc_s.so.1"):
        if not (LIBRARIES / name).exists():
            pytest.fail(f"{LIBRARIES / name} is not there, which this test needs: apt-get install {NEEDED}")
    root = folder / "root"
    (root / "proc").mkdir(parents=True)
    (root / "proc" / "cpuinfo").write_text(CPUINFO)  # qemu opens what is in its root before the machine's own
    (root / "lib").symlink_to(LIBRARIES)
    runner = build(folder / "edgekit_bench", [*ZIG, "-target", "aarch64-linux-gnu.2.28"])
    return Arm64((qemu, "-L", str(root)), {"QEMU_CPU": "cortex-a57"}, runner, arm64_library(cache))


def arm64_library(cache: Path) -> Path:
    """libonnxruntime.so for arm64 Linux, of the same version as the installed wheel."""
    folder = cache / onnxruntime.__version__
    found = sorted(folder.glob("libonnxruntime.so.*"))
    if found:
        return found[0]
    wheels = cache / "wheels"
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (17, 27, 28)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--no-deps", *platforms]
    command += ["--dest", str(wheels), f"onnxruntime=={onnxruntime.__version__}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode != 0:
        pytest.fail(f"the arm64 wheel of onnxruntime cannot be downloaded: {done.stderr.strip()[-500:]}")
    (wheel,) = wheels.glob(f"onnxruntime-{onnxruntime.__version__}-*aarch64.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if "capi/libonnxruntime.so." in name)
        partial = folder / ".partial"
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(archive.read(name))
    return partial.rename(folder / Path(name).name)
