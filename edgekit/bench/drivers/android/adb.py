"""A thin wrapper on the `adb` client: argument lists only, a time limit on every call, and errors in plain words."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit.bench.drivers.base import plain
from edgekit.errors import DeviceError, InputError, MissingDependencyError, UsageError

__all__ = ["Adb", "Connected", "Shell"]

_STATES = {
    "authorizing",
    "bootloader",
    "connecting",
    "device",
    "host",
    "no device",
    "no permissions",
    "offline",
    "recovery",
    "rescue",
    "sideload",
    "unauthorized",
    "unknown",
}
_BLOCK = 1 << 16
_STDERR = 1 << 16  # bytes of its end that are kept
_LISTING = 1 << 20
_MARK = "edgekit-exit:"
# What `adb` says, and what a person can do about it.
_TROUBLE = (
    ("unauthorized", "not authorised; unlock the device and allow debugging from this computer"),
    ("authorizing", "not authorised yet; unlock the device and allow debugging from this computer"),
    ("no permissions", "this computer's user may not open it; see the udev rules of Android's documentation"),
    ("offline", "offline; connect it again, or run `adb reconnect offline`"),
    ("No space left", "no space left on the device; free some"),
    ("target doesn't support", "too old for this (Android 7 or later is needed)"),
    ("not found", "lost or not connected; check the cable and `adb devices`"),
)


@dataclass(frozen=True)
class Connected:
    """A line of `adb devices`."""

    serial: str
    state: str

    @property
    def ready(self) -> bool:
        """Whether commands can be run on it."""
        return self.state == "device"


@dataclass(frozen=True)
class Shell:
    """What a command on the device said: its exit code, stdout, and the end of its stderr."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """stdout as text; bytes that are no UTF-8 are replaced."""
        return self.stdout.decode("utf-8", "replace")


@dataclass(frozen=True)
class _Done:
    code: int
    stdout: bytes
    stderr: bytes


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

    def at(self, serial: str) -> Adb:
        """The same client for another device."""
        return replace(self, serial=serial)

    async def devices(self, timeout: float = 30.0) -> list[Connected]:
        """All devices that the adb server knows; it is started where none runs. Lines that make no sense are left out.

        Raises:
            DeviceError: the adb server does not answer.
        """
        done = await self._client(["devices"], timeout, "listing the devices", limit=_LISTING, anywhere=True)
        if done.code:
            raise DeviceError(f"adb cannot list devices: {plain(done.stderr)}; try `adb kill-server`")
        devices: dict[str, Connected] = {}
        for line in done.stdout.decode("utf-8", "replace").split("\n"):
            serial, tab, state = line.rstrip("\r").rpartition("\t")
            state = state.split(" (")[0].split(";")[0].strip()
            if tab and serial and serial.isprintable() and state in _STATES:
                devices.setdefault(serial, Connected(serial, state))
        return list(devices.values())

    async def connect(self, timeout: float = 10.0) -> None:
        """Ask for a device on the network again; no error where that fails, the next command tells."""
        if ":" in self._serial:
            with suppress(DeviceError):
                await self._client(["connect", self._serial], timeout, "connecting", anywhere=True)

    async def shell(
        self, argv: Sequence[str], timeout: float, *, doing: str | None = None, limit: int = 64 << 20
    ) -> Shell:
        """Run one program on the device, without a terminal or stdin.

        Args:
            argv: the program and its arguments; each is quoted, nothing is expanded.
            timeout: seconds.
            doing: for errors, what this is, after "while".
            limit: bytes of stdout; InputError on more.
        """
        output = bytearray()
        code, stderr = await self._shell(argv, timeout, doing or f"running {plain(argv[0])}", limit, output.extend)
        return Shell(code, bytes(output), stderr)

    async def must(self, argv: Sequence[str], timeout: float, doing: str, *, limit: int = 8 << 20) -> str:
        """stdout of a command that has to succeed; DeviceError with what it said on stderr where it does not."""
        done = await self.shell(argv, timeout, doing=doing, limit=limit)
        if done.code:
            said = plain(done.stderr) or "it says nothing"
            killed = "; killed, perhaps for want of memory" if done.code == 137 else ""
            raise DeviceError(f"{plain(self._serial)}: exit code {done.code} while {doing} ({said}){killed}")
        return done.text

    async def push(self, local: Path, remote: str, timeout: float) -> None:
        """Copy a file to the device, to the path `remote`."""
        doing = f"pushing {plain(str(local.name))}"
        done = await self._client(["-s", self._serial, "push", str(local.absolute()), remote], timeout, doing)
        if done.code:
            raise self._trouble(done, doing)

    async def pull(self, remote: str, local: Path, timeout: float, *, max_bytes: int) -> None:
        """Copy a file of the device to the path `local`.

        Through `cat`, not `adb pull`: a device could answer that with a folder, with names of its own choice, and
        without end.

        Raises:
            InputError: it has more than `max_bytes`, or cannot be read.
        """
        doing = f"pulling {plain(Path(remote).name)}"
        with local.open("wb") as file:
            code, stderr = await self._shell(["cat", remote], timeout, doing, max_bytes, file.write)
        if code:
            raise InputError(f"{plain(self._serial)}: {Path(remote).name} cannot be read ({plain(stderr)})")

    @property
    def _serial(self) -> str:
        if self.serial is None:
            raise UsageError("no device chosen")
        return self.serial

    async def _shell(
        self, argv: Sequence[str], timeout: float, doing: str, limit: int, keep: Callable[[bytes], object]
    ) -> tuple[int, bytes]:
        # The client's own exit code 1 may be the command's or a lost device's: the shell says which.
        command = f"{shlex.join(argv)}; printf '\\n{_MARK}%d\\n' $? >&2"
        args = ["-s", self._serial, "shell", "-n", "-T", command]
        done = await self._client(args, timeout, doing, limit=limit, keep=keep)
        stderr, mark, code = done.stderr.rpartition(b"\n" + _MARK.encode())
        if not mark or not code.strip().isdigit():
            raise self._trouble(done, doing)
        return int(code[:8]), stderr

    async def _client(
        self,
        args: Sequence[str],
        timeout: float,
        doing: str,
        *,
        limit: int = _LISTING,
        keep: Callable[[bytes], object] | None = None,
        anywhere: bool = False,
    ) -> _Done:
        """Run the client to its end; stdout goes to `keep`, or is returned."""
        port = [] if self.server_port is None else ["-P", str(self.server_port)]
        where = "adb" if anywhere else plain(self._serial)
        try:
            client = await asyncio.create_subprocess_exec(
                self.executable,
                *port,
                *args,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us: what is to be put back needs clients that live
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            raise MissingDependencyError(
                f"no adb client at {self.executable!r}; install Android's platform-tools (Debian: apt-get install adb; "
                "macOS: brew install --cask android-platform-tools)"
            ) from error
        assert client.stdout is not None and client.stderr is not None
        output, errors = bytearray(), bytearray()
        reading = asyncio.ensure_future(_tail(client.stderr, errors))
        try:
            async with asyncio.timeout(timeout):
                if not await _drain(client.stdout, keep or output.extend, limit):
                    raise InputError(f"{where}: over {limit >> 10} KiB while {doing}; not read on")
                await reading
                code = await client.wait()
        except TimeoutError as error:
            raise DeviceError(
                f"{where}: no end after {timeout:g} s while {doing}; see if the device hangs, or restart it"
            ) from error
        finally:
            await _end(client, reading)
        return _Done(code, bytes(output), bytes(errors))

    def _trouble(self, done: _Done, doing: str) -> DeviceError:
        """What the client's last words mean."""
        output = done.stderr.decode("utf-8", "replace") + done.stdout.decode("utf-8", "replace")
        # The serial and a file's name are in it too and may hold any word.
        words = output.replace(self._serial, "")
        for sign, meaning in _TROUBLE:
            if sign in words:
                return DeviceError(f"{plain(self._serial)}: {meaning} (while {doing})")
        said = plain(done.stderr or done.stdout)
        said = f" ({said})" if said else ""
        return DeviceError(f"{plain(self._serial)}: lost while {doing}{said}; check the cable and `adb devices`")


async def _end(client: asyncio.subprocess.Process, reading: asyncio.Task[None]) -> None:
    """Kill the client if it still runs, and read its pipes to their end: what is open holds the event loop."""
    reading.cancel()
    await asyncio.wait([reading])
    if client.returncode is None:
        with suppress(ProcessLookupError):
            client.kill()
    with suppress(TimeoutError):  # an adb server that it started may hold its pipes
        await asyncio.wait_for(client.communicate(), 5)


async def _drain(stream: asyncio.StreamReader, keep: Callable[[bytes], object], limit: int) -> bool:
    """Read to the end; False as soon as there is more than `limit`."""
    size = 0
    while block := await stream.read(_BLOCK):
        size += len(block)
        if size > limit:
            return False
        keep(block)
    return True


async def _tail(stream: asyncio.StreamReader, kept: bytearray) -> None:
    while block := await stream.read(_BLOCK):
        kept.extend(block)
        del kept[:-_STDERR]
