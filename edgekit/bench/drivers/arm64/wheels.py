"""The arm64 builds of the installed runtimes: libraries out of the wheels that pip finds for arm64 Linux."""

from __future__ import annotations

import csv
import hashlib
import re
import subprocess
import sys
import zipfile
import zlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgekit.errors import IntegrityError, MissingDependencyError
from edgekit.support.text import shown

__all__ = ["WHEELS", "Wheel", "fetch", "installed", "take"]

_PLATFORMS = tuple(f"manylinux_2_{minor}_aarch64" for minor in (17, 27, 28))
_PATIENCE = 1800.0  # seconds for some tens of megabytes
_MOST_BYTES = 256 << 20  # of a library
# What zipfile and csv raise for archives that are none, are cut off or are of kinds that they do not know.
_DAMAGED = (zipfile.BadZipFile, zlib.error, csv.Error, LookupError, ValueError, EOFError, OSError, RuntimeError)


@dataclass(frozen=True)
class Wheel:
    """One runtime: the format that it runs, its package, and which of its files are taken, under which names."""

    format: str
    package: str
    members: str  # a pattern of whole names in the wheel; its group `name` is what the file is called from then on
    library: str  # that edgekit_bench opens

    @property
    def version(self) -> str | None:
        """Of the package that is installed here; None where it is not."""
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:
            return None


WHEELS = (
    Wheel("onnx", "onnxruntime", r"onnxruntime/capi/(?P<name>libonnxruntime\.so)[.\d]*", "libonnxruntime.so"),
    Wheel("litert", "ai-edge-litert", r"ai_edge_litert/(?P<name>libLiteRt\.so)", "libLiteRt.so"),
    Wheel(
        "executorch",
        "executorch",
        r"executorch/lib/(?P<name>libexecutorch(_backend_xnnpack|_kernels_optimized|_kernels_quantized|_threadpool)?\.so)",
        "libedgekit_executorch.so",
    ),
)


def installed() -> list[Wheel]:
    """The runtimes that are installed here; MissingDependencyError where none is."""
    found = [wheel for wheel in WHEELS if wheel.version is not None]
    if not found:
        names = " or ".join(wheel.package for wheel in WHEELS)
        raise MissingDependencyError(f"no runtime is installed whose arm64 build could be used: pip install {names}")
    return found


def fetch(wheel: Wheel, folder: Path) -> Path:
    """Download the arm64 wheel of the installed version into `folder`, from the index that pip is configured for.

    Raises MissingDependencyError where pip is missing, or does not find or get it.
    """
    wanted = f"{wheel.package}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--no-deps"]
    command += [f"--platform={platform}" for platform in _PLATFORMS]
    command += ["--dest", str(folder), wanted]
    before = set(folder.iterdir())
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE, stdin=subprocess.DEVNULL
        )
        said = done.stderr.strip().splitlines()
    except subprocess.TimeoutExpired:
        done, said = None, [f"nothing came for {_PATIENCE:.0f} s"]
    found = [path for path in folder.iterdir() if path not in before and path.suffix == ".whl"]
    if done is None or done.returncode != 0 or len(found) != 1:
        reason = next((line for line in said if line.startswith("ERROR")), said[-1] if said else "it gives no reason")
        raise MissingDependencyError(
            f"pip cannot download {wanted} for arm64 Linux ({shown(reason)}): look whether pip is installed here and "
            "its index has that wheel"
        )
    return found[0]


def take(wheel: Wheel, archive: Path, folder: Path) -> list[str]:
    """Unpack the runtime's libraries of a wheel into `folder`, each as its RECORD says; their names.

    Raises IntegrityError where the wheel is damaged, holds other bytes than its RECORD says, or has no such library.
    """
    taken: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(archive) as content:
            recorded = _recorded(content)
            for member in content.infolist():
                match = re.fullmatch(wheel.members, member.filename)
                if match is None:
                    continue
                if member.file_size > _MOST_BYTES:
                    raise IntegrityError(f"{archive.name}: {shown(member.filename)} is over {_MOST_BYTES >> 20} MiB")
                data = content.read(member)
                digest = urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                if recorded.get(member.filename) != f"sha256={digest}":
                    raise IntegrityError(
                        f"{archive.name}: {shown(member.filename)} is not what the wheel's RECORD says; get it again"
                    )
                if match["name"] in taken:
                    raise IntegrityError(f"{archive.name}: has two files {wheel.members}; {_unknown(wheel)}")
                taken[match["name"]] = data
    except _DAMAGED as error:
        raise IntegrityError(f"{archive.name}: is no whole wheel ({shown(str(error))}); get it again") from error
    if not taken:
        raise IntegrityError(f"{archive.name}: has no file {wheel.members}; {_unknown(wheel)}")
    for name, data in taken.items():
        (folder / name).write_bytes(data)
    return sorted(taken)


def _unknown(wheel: Wheel) -> str:
    return f"this version of {wheel.package} is not known"


def _recorded(content: zipfile.ZipFile) -> dict[str, str]:
    """Name -> hash of the files of a wheel, as its RECORD says."""
    name = next(name for name in [*content.namelist(), ""] if re.fullmatch(r"[^/]+\.dist-info/RECORD|", name))
    rows = csv.reader(content.read(name).decode("utf-8").splitlines())
    return {row[0]: row[1] for row in rows if len(row) >= 2}
