"""A thin wrapper on the `adb` client with errors in plain words, and what is to be put back on a device through it."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgekit.bench.drivers.base import NoRoomError, plain
from edgekit.bench.drivers.program import Done, call
from edgekit.errors import DeviceError, EdgeKitError, InputError, UsageError

__all__ = ["Adb", "Undo"]

_STATES = {"authorizing", "bootloader", "connecting", "device", "host", "no device", "no permissions", "offline"}
_STATES |= {"recovery", "rescue", "sideload", "unauthorized", "unknown"}
_LISTING = 1 << 20  # bytes
_MISSING = (
    "install Android's platform-tools (Debian: apt-get install adb; macOS: brew install --cask android-platform-tools)"
)
_ATTEMPT = 10.0  # seconds that one step of putting back may take
_MARK = "edgekit-exit:"
_KILLED = 137  # exit code of what SIGKILL ended
_FULL = "No space left"
# What `adb` says, and what a person can do about it.
_TROUBLE = (
    ("unauthorized", "not authorised; unlock the device and allow debugging from this computer"),
    ("authorizing", "not authorised yet; unlock the device and allow debugging from this computer"),
    ("no permissions", "this computer's user may not open it; see the udev rules of Android's documentation"),
    ("offline", "offline; connect it again, or run `adb reconnect offline`"),
    (_FULL, "no space left on the device; free some space"),
    ("target doesn't support", "too old for this (Android 7 or later is needed)"),
    ("not found", "lost or not connected; check the cable and `adb devices`"),
)


@dataclass(frozen=True)
class Adb:
    """The `adb` client, for one device where `serial` is set.

    Every call raises MissingDependencyError where there is no client, and DeviceError where the device is lost,
    unauthorised, offline, full or silent for longer than its time limit; the client is then killed.

    Raises:
        UsageError: the serial is empty or holds control characters.
    """

    executable: str = "adb"
    serial: str | None = None
    server_port: int | None = None

    def __post_init__(self) -> None:
        if self.serial is not None and (not self.serial or not self.serial.isprintable()):
            raise UsageError(f"{self.serial[:60]!r} is no serial number; `adb devices` lists those that are connected")

    @property
    def name(self) -> str:
        """The device, as errors call it."""
        return plain(self.serial or "adb")

    def at(self, serial: str) -> Adb:
        """The same client for another device."""
        return replace(self, serial=serial)

    async def devices(self, timeout: float = 30.0) -> list[tuple[str, str]]:
        """Serial and state of all devices that the adb server knows; it is started where none runs. Lines that make no
        sense are left out. DeviceError where the server does not answer.
        """
        done = await self._client(["devices"], timeout, "listing the devices")
        if done.code:
            raise DeviceError(f"adb cannot list devices: {plain(done.stderr)}; try `adb kill-server`")
        devices: dict[str, str] = {}
        for line in done.text.split("\n"):
            serial, tab, state = line.rstrip("\r").rpartition("\t")
            state = state.split(" (")[0].split(";")[0].strip()
            if tab and serial and serial.isprintable() and state in _STATES:
                devices.setdefault(serial, state)
        return list(devices.items())

    async def connect(self, timeout: float = 10.0) -> None:
        """Ask for a device on the network again; no error where that fails, the next command tells."""
        if ":" in self._serial:
            with suppress(DeviceError):
                await self._client(["connect", self._serial], timeout, "connecting")

    async def shell(
        self, argv: Sequence[str], timeout: float, *, doing: str | None = None, limit: int = 64 << 20
    ) -> Done:
        """Run one program on the device, without a terminal or stdin.

        Args:
            argv: the program and its arguments; each is quoted, nothing is expanded.
            timeout: seconds.
            doing: for errors, what this is, after "while".
            limit: bytes of stdout; InputError on more.
        """
        doing = doing or f"running {plain(argv[0])}"
        # The client's own exit code 1 may be the command's or a lost device's: the shell says which.
        command = f"{shlex.join(argv)}; printf '\\n{_MARK}%d\\n' $? >&2"
        done = await self._client(["-s", self._serial, "shell", "-n", "-T", command], timeout, doing, limit)
        stderr, mark, code = done.stderr.rpartition(b"\n" + _MARK.encode())
        if not mark or not code.strip().isdigit():
            raise self._trouble(replace(done, stdout=b""), doing)  # that is the command's own, and may hold any word
        return Done(int(code[:8]), done.stdout, stderr)

    async def must(self, argv: Sequence[str], timeout: float, doing: str, *, limit: int = 8 << 20) -> str:
        """stdout of a command that has to succeed; DeviceError with what it said on stderr where it does not."""
        done = await self.shell(argv, timeout, doing=doing, limit=limit)
        if done.code:
            said = plain(done.stderr) or "it says nothing"
            line = f"{self.name}: exit code {done.code} while {doing} ({said})"
            if done.code == _KILLED:
                raise NoRoomError(f"{line}; killed, perhaps for want of memory")
            raise DeviceError(line)
        return done.text

    async def push(self, local: Path, remote: str, timeout: float) -> None:
        """Copy a file to the device, to the path `remote`."""
        doing = f"pushing {plain(str(local.name))}"
        done = await self._client(["-s", self._serial, "push", str(local.absolute()), remote], timeout, doing)
        if done.code:
            raise self._trouble(done, doing)

    async def pull(self, remote: str, local: Path, timeout: float, *, max_bytes: int) -> None:
        """Copy a file of the device to `local`; InputError where it has more than `max_bytes`, or cannot be read.

        Through `cat`, not `adb pull`: a device could answer that with a folder, with names of its own choice, and
        without end.
        """
        doing = f"pulling {plain(Path(remote).name)}"
        done = await self.shell(["cat", remote], timeout, doing=doing, limit=max_bytes)
        if done.code:
            raise InputError(f"{self.name}: {Path(remote).name} cannot be read ({plain(done.stderr)})")
        local.write_bytes(done.stdout)

    @property
    def _serial(self) -> str:
        if self.serial is None:
            raise UsageError("no device is chosen; give its serial number")
        return self.serial

    async def _client(self, args: Sequence[str], timeout: float, doing: str, limit: int = _LISTING) -> Done:
        """Run the client to its end; a server that it starts lives on."""
        port = [] if self.server_port is None else ["-P", str(self.server_port)]
        argv = [self.executable, *port, *args]
        return await call(argv, timeout, where=self.name, doing=doing, missing=_MISSING, limit=limit, group=False)

    def _trouble(self, done: Done, doing: str) -> DeviceError:
        """What the client's last words mean."""
        # The serial and a file's name are in it too and may hold any word.
        words = (done.errors + done.text).replace(self._serial, "")
        for sign, meaning in _TROUBLE:
            if sign in words:
                kind = NoRoomError if sign == _FULL else DeviceError
                return kind(f"{self.name}: {meaning} (while {doing})")
        said = plain(done.stderr or done.stdout)
        said = f" ({said})" if said else ""
        return DeviceError(
            f"{self.name}: the connection was lost while {doing}{said}; check the cable and `adb devices`"
        )


@dataclass
class Undo:
    """What is to be put back on a device, the last first."""

    adb: Adb
    timeout: float
    steps: list[tuple[str, list[str]]] = field(default_factory=list)

    def add(self, label: str, *argv: str) -> None:
        """Remember it before the change: a change that is cut off may have happened."""
        self.steps.append((label, list(argv)))

    async def run(self) -> list[str]:
        """Put all back, also on a device that is away for a while; the labels of what could not be."""
        end = time.monotonic() + self.timeout
        failed = []
        while self.steps and (left := end - time.monotonic()) > 0:
            label, argv = self.steps[-1]
            try:
                done = await self.adb.shell(argv, min(left, _ATTEMPT), doing=f"putting back {label}")
            except DeviceError:
                await self.adb.connect()
                await asyncio.sleep(min(1.0, self.timeout / 10))
                continue
            except EdgeKitError:
                break
            self.steps.pop()
            if done.code:
                failed.append(label)
        return failed + [label for label, _ in reversed(self.steps)]
