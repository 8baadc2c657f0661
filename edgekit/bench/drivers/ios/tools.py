"""The programs that reach iPhones from a host, as a table: for each step, what is run and what it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.bench.drivers.base import plain
from edgekit.bench.drivers.ios.app import Products
from edgekit.bench.drivers.program import Done
from edgekit.bench.protocol import JOB_FOLDER
from edgekit.errors import DeviceError, EdgeKitError, MissingDependencyError

__all__ = ["FOLDER", "Argv", "Facts", "Tools", "is_udid", "part", "text", "trouble"]

Argv = tuple[str, ...]
FOLDER = f"Documents/{JOB_FOLDER}"  # in the app's container
_UDID = re.compile(r"[0-9A-Fa-f][0-9A-Fa-f-]{7,63}")
# What the programs say, in lower case, and what a person can do about it.
LOCKED = "locked; unlock it, and keep it unlocked"
NO_TRUST = "does not trust this computer; unlock it, tap Trust, and run it again"
NO_MODE = "Developer Mode is off; turn it on in Settings > Privacy & Security and restart the device"
_NO_DEVELOPER = "does not trust the app's developer; see Settings > General > VPN & Device Management"
_LOST = "lost or not connected; check the cable"
_TROUBLE = {
    **dict.fromkeys(("passcode protected", "passwordprotected", "device is locked", "unlock"), LOCKED),
    "developer mode": NO_MODE,
    **dict.fromkeys(("explicitly trusted", "untrusted developer"), _NO_DEVELOPER),
    **dict.fromkeys(("device paired", "pairingdialog", "must be paired", "not paired"), NO_TRUST),
    "developer disk image": "has no developer disk image; run `ios image auto`, or open it in Xcode once",
    "tunnel start": "no tunnel to it; run `sudo ios tunnel start` (iOS 17 or later)",
    **dict.fromkeys(
        ("no space left", "not enough space", "afc error code: 18"), "no space left on the device; free some space"
    ),
    **dict.fromkeys(("unable to find a destination", "device not found", "device was not found"), _LOST),
    **dict.fromkeys(("connection was invalidated", "connection reset", "disconnected"), _LOST),
}
_NO_TOOL = ("unable to find utility", "requires xcode", "/usbmuxd: connect")


@dataclass(frozen=True)
class Facts:
    """What a device says of itself before a run; `trouble` is why it cannot be used."""

    model: str | None = None
    os: str | None = None
    trouble: str | None = None


@dataclass(frozen=True, kw_only=True)
class Tools:
    """One host's programs: a command line for each step, and readers of what they answer.

    A command that is to answer with JSON gets a path for it; where it leaves none, its stdout is the answer.
    """

    provider: str
    harness: str
    missing: str
    listing: Callable[[Path], Argv]
    listed: Callable[[Any], dict[str, str]]  # each device, and in a few words what it is and whether it can be used
    asking: Callable[[str, Path], Sequence[Argv]]
    asked: Callable[[Sequence[Any]], Facts]
    installing: Callable[[str, Products], Argv]
    cleaning: Callable[[str, str], Sequence[Argv]]
    pushing: Callable[[str, str, Path], Sequence[Argv]]
    testing: Callable[[str, Products, Path], Argv]
    fetching: Callable[[str, str, str, Path], Argv]
    stopping: Callable[[str, str], Sequence[Argv]]
    removing: Callable[[str, str, Path], Argv]
    absent: str
    says: Callable[[Done], str]
    failed: Callable[[Done], bool]


def trouble(tools: Tools, done: Done, where: str, doing: str) -> EdgeKitError:
    """What a program's last words mean."""
    said = tools.says(done)
    # The device's name for itself is in it too and may hold any word.
    words = said.replace(where, "").lower()
    if any(sign in (words + done.errors.lower()) for sign in _NO_TOOL):
        return MissingDependencyError(f"{plain(said)}; {tools.missing}")
    for sign, meaning in _TROUBLE.items():
        if sign in words:
            return DeviceError(f"{plain(where)}: {meaning} (while {doing})")
    return DeviceError(f"{plain(where)}: failed while {doing} ({plain(said, 300) or f'exit code {done.code}'})")


def part(document: Any, *names: str) -> Any:
    """What a JSON document holds under names, one below the other; None where that is nothing."""
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def text(value: Any) -> str | None:
    """Words of a device that are safe on a terminal; None for anything else."""
    return plain(value, 100) or None if isinstance(value, str) else None


def is_udid(value: Any) -> bool:
    """Whether it is an identifier as Apple makes them, and so safe as part of any argument."""
    return isinstance(value, str) and _UDID.fullmatch(value) is not None
