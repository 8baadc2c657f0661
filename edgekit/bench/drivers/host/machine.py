"""The host as a result describes it. What the system does not say is null."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from edgekit.bench.schema import Core, Device, State
from edgekit.errors import UsageError

__all__ = ["device", "memory", "pinned", "state"]

_CPU = Path("/sys/devices/system/cpu")
_ZONES = Path("/sys/class/thermal")


def device() -> Device:
    """This machine."""
    names: dict[str, Literal["linux", "macos", "windows"]] = {"darwin": "macos", "win32": "windows"}
    info = _pairs(Path("/proc/cpuinfo"))
    return Device(
        platform=names.get(sys.platform, "linux"),
        soc=_chip(info),
        os=f"{platform.system()} {platform.release()}",
        abi=platform.machine(),
        ram_bytes=_kilobytes(_pairs(Path("/proc/meminfo")).get("MemTotal")),
        cores=tuple(
            Core(id=core, max_khz=_number(files / "cpuinfo_max_freq"), governor=_text(files / "scaling_governor"))
            for core, files in _cores()
        ),
        emulated=False,
    )


def _chip(info: Mapping[str, str]) -> str | None:
    """The processor: Intel's and AMD's have a name, Apple's tells sysctl, other ARM ones tell a number at most."""
    if sys.platform == "darwin":
        done = subprocess.run(["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
        return done.stdout.strip() or None
    board = (_text(Path("/proc/device-tree/model")) or "").strip("\0")
    part = f"ARM {info.get('CPU implementer')} {info['CPU part']}" if "CPU part" in info else None
    return info.get("model name") or info.get("Hardware") or board or part or platform.processor() or None


def state() -> State:
    """This machine now."""
    zones = [_number(zone / "temp") for zone in _ZONES.glob("thermal_zone*")]
    warmest = max((value for value in zones if value is not None), default=None)
    current = {str(core): _number(files / "scaling_cur_freq") for core, files in _cores()}
    known = {core: value for core, value in current.items() if value is not None}
    return State(
        temperature_c=None if warmest is None else min(200.0, warmest / 1000),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        core_khz=known or None,
    )


@contextmanager
def pinned(count: int) -> Iterator[tuple[int, ...] | None]:
    """Keep this process, and those that it starts, on the last `count` of its cores for a while.

    Gives them, or None where that cannot be done; UsageError where it does not have so many.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    before = sorted(os.sched_getaffinity(0))
    if count > len(before):
        raise UsageError(
            f"`threads` is {count}, but this process may use {len(before)} cores; give at most as many", field="threads"
        )
    os.sched_setaffinity(0, before[-count:])
    try:
        yield tuple(before[-count:])
    finally:
        os.sched_setaffinity(0, before)


def memory() -> tuple[int | None, int | None]:
    """Bytes that this process holds now, and that it held at most."""
    status = _pairs(Path("/proc/self/status"))
    now, most = _kilobytes(status.get("VmRSS")), _kilobytes(status.get("VmHWM"))
    if most is None and sys.platform != "win32":
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
    return now, most


def _cores() -> Iterator[tuple[int, Path]]:
    """Each core, and where the system tells its frequencies."""
    return ((core, _CPU / f"cpu{core}/cpufreq") for core in range(os.cpu_count() or 1))


def _pairs(path: Path) -> dict[str, str]:
    """The first value of each key of a file of lines; nothing where there is no such file."""
    pairs: dict[str, str] = {}
    for line in (_text(path) or "").splitlines():
        key, _, value = line.partition(":")
        pairs.setdefault(key.strip(), value.strip())
    return pairs


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text is not None and text.isdigit() else None


def _kilobytes(text: str | None) -> int | None:
    digits = (text or "").split(" ")[0]
    return int(digits) * 1024 if digits.isdigit() else None
