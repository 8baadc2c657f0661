"""An arm64 Linux machine without one: qemu's user mode, the C library of a cross compiler, and arm64 runtimes."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.bench.drivers.arm64 import wheels
from edgekit.bench.drivers.arm64.build import RUNNER, build_glue, build_runner, digest_of_sources
from edgekit.errors import DeviceError, InputError, IntegrityError, MissingDependencyError, OutputError
from edgekit.support.drafts import scratch, user_cache
from edgekit.support.files import list_files, sha256_file
from edgekit.support.progress import Reporter, Silent
from edgekit.support.staging import staging
from edgekit.support.text import shown

__all__ = ["CPU", "INSTALL", "TOOLCHAIN", "Machine", "open_machine", "set_up"]

CPU = "neoverse-n1"  # NEON, half precision and dot products, as the large cores of phones since 2018 have them
TOOLCHAIN = "aarch64-linux-gnu-"
INSTALL = "apt-get install qemu-user-static g++-aarch64-linux-gnu"
SET_UP = "run `edgekit setup arm64`"
_EMULATORS = ("qemu-aarch64-static", "qemu-aarch64")
_C_LIBRARIES = [
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libstdc++.so.6",
    "libgcc_s.so.1",
]
_SUMS = "SHA256SUMS"
# Runtimes look their processor up here as well, and the one of the machine that emulates is of another kind.
_CPUINFO = """\
processor\t: {number}
BogoMIPS\t: 100.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1

"""
_CORES = 4  # that the file above tells of: runtimes ask for it whatever the number of threads


@dataclass(frozen=True)
class Machine:
    """How arm64 programs are started here: `[*prefix, program, *arguments]` with `environment` added."""

    folder: Path
    prefix: tuple[str, ...]
    environment: Mapping[str, str]
    versions: Mapping[str, str]  # of the runtimes, by the format that they run

    @property
    def runner(self) -> Path:
        """The native runner."""
        return self.folder / "lib" / RUNNER

    def library(self, model_format: str) -> Path:
        """What the runner opens for models of a format; MissingDependencyError where its runtime is not there."""
        for wheel in wheels.WHEELS:
            if wheel.format == model_format and model_format in self.versions:
                return self.folder / "lib" / wheel.library
        raise MissingDependencyError(f"the emulated arm64 machine has no runtime for {model_format}: {SET_UP}")


def open_machine() -> Machine:
    """The machine that `set_up` made for the installed versions of the runtimes.

    Raises:
        MissingDependencyError: it is not there, or there is no qemu.
        IntegrityError: a file of it has changed.
    """
    emulator, found, folder = _emulator(), wheels.installed(), _folder()
    if not folder.is_dir():
        named = ", ".join(f"{wheel.package} {wheel.version}" for wheel in found)
        raise MissingDependencyError(f"there is no emulated arm64 machine for {named} yet: {SET_UP}")
    try:
        whole = _sums(folder) == (folder / _SUMS).read_text("ascii")
    except (OSError, InputError, UnicodeDecodeError):
        whole = False
    if not whole:
        raise IntegrityError(f"{folder}: is not what was set up there; remove it and {SET_UP}")
    return _machine(emulator, folder)


def set_up(reporter: Reporter | None = None) -> Machine:
    """Make the machine in the user's cache, all or nothing: download the runtimes, build the runner, start it once.

    One that is there and whole is left as it is.

    Raises:
        MissingDependencyError: qemu, the compiler or a wheel is missing.
        IntegrityError: a wheel is damaged.
        OutputError: the cache cannot be written.
        DeviceError: what was built does not start.
    """
    reporter, emulator, folder = reporter or Silent(), _emulator(), _folder()
    _require(f"{TOOLCHAIN}g++", "the compiler")
    try:
        return open_machine()
    except (MissingDependencyError, IntegrityError):
        pass
    try:
        with staging(folder, _claimed) as draft:
            (draft / "lib").mkdir()
            _fill(draft / "lib", reporter)
            (draft / "proc").mkdir()
            (draft / "proc" / "cpuinfo").write_text("".join(_CPUINFO.format(number=core) for core in range(_CORES)))
            with reporter.stage("start the runner once"):
                _try(_machine(emulator, draft))
            (draft / _SUMS).write_text(_sums(draft), "ascii")
    except OutputError as error:
        why = shown(str(error).split("; ")[0])
        raise OutputError(f"the machine cannot be kept ({why}): set XDG_CACHE_HOME to a folder with room") from error
    return _machine(emulator, folder)


def _fill(folder: Path, reporter: Reporter) -> None:
    """Everything that an arm64 process loads, into one folder."""
    found = wheels.installed()
    with scratch() as downloads, reporter.stage("download the arm64 wheels of the runtimes") as tick:
        for number, wheel in enumerate(found):
            tick(number, len(found), wheel.package)
            wheels.take(wheel, wheels.fetch(wheel, downloads), folder)
    with reporter.stage("build the runner for arm64"):
        for name in _C_LIBRARIES:
            shutil.copyfile(_c_library(name), folder / name)
        build_runner(folder, TOOLCHAIN)
        for wheel in found:
            if wheel.format == "executorch":
                build_glue(folder, str(wheel.version), TOOLCHAIN)


def _c_library(name: str) -> Path:
    """Where the cross compiler keeps a library of the arm64 system."""
    done = subprocess.run([f"{TOOLCHAIN}gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=False)
    path = Path(done.stdout.strip())
    if not path.is_absolute() or not path.is_file():
        raise MissingDependencyError(f"{TOOLCHAIN}gcc has no {name} for arm64: {INSTALL}")
    return path


def _try(machine: Machine) -> None:
    command = [*machine.prefix, str(machine.runner), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(machine.environment), timeout=300)
    if done.returncode != 0 or not done.stdout.startswith("usage"):
        raise DeviceError(f"the arm64 runner does not start under {command[0]} ({shown(done.stderr.strip())})")


def _machine(emulator: str, folder: Path) -> Machine:
    versions = {wheel.format: str(wheel.version) for wheel in wheels.installed()}
    return Machine(folder, (emulator, "-L", str(folder)), {"QEMU_CPU": CPU}, versions)


def _folder() -> Path:
    versions = [f"{wheel.package}=={wheel.version}" for wheel in wheels.installed()]
    key = hashlib.sha256("\n".join([digest_of_sources(), *versions]).encode()).hexdigest()
    return user_cache() / "edgekit" / f"arm64-{key[:16]}"


def _emulator() -> str:
    for name in _EMULATORS:
        if found := shutil.which(name):
            return found
    raise _missing("qemu-aarch64-static", "qemu's user mode")


def _require(program: str, what: str) -> None:
    if shutil.which(program) is None:
        raise _missing(program, what)


def _missing(program: str, what: str) -> MissingDependencyError:
    return MissingDependencyError(f"{what} ({program}) is not installed, which arm64 programs need here: {INSTALL}")


def _sums(folder: Path) -> str:
    """A line for each file of the machine: its SHA-256 and name, as sha256sum writes it."""
    names: Sequence[str] = [name for name in list_files(folder) if name != _SUMS]
    return "".join(f"{sha256_file(folder / name)}  {name}\n" for name in names)


def _claimed(folder: Path) -> set[str] | None:
    """The folder's name is a digest of ours: all in it is."""
    return set(list_files(folder))
