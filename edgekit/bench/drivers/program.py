"""Run one program of the host to its end: argument lists only, a time limit, bounded output, its own process group."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgekit.bench.drivers.base import plain, to_its_end
from edgekit.errors import DeviceError, InputError, MissingDependencyError

__all__ = ["Done", "call"]

_KEPT = 1 << 20  # bytes of the end of stdout and of stderr that are kept
_GRACE = 5.0  # seconds between asking a program to stop and killing it: xcodebuild ends the test on the device
_LOOK = 0.2  # seconds between looks at what a program writes
_MOST_FILES = 100
_NOBODY = (ProcessLookupError, PermissionError)  # macOS says the latter of a group of zombies


@dataclass(frozen=True)
class Done:
    """How a program ended, and the end of what it said."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """stdout as text; bytes that are no UTF-8 are replaced."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def errors(self) -> str:
        """stderr as text; bytes that are no UTF-8 are replaced."""
        return self.stderr.decode("utf-8", "replace")


async def call(
    argv: Sequence[str],
    timeout: float,
    *,
    where: str,
    doing: str,
    missing: str,
    into: Path | None = None,
    limit: int | None = None,
    group: bool = True,
) -> Done:
    """Run a program without a shell, a terminal or stdin. However this ends, it does not live on.

    Args:
        argv: the program and its arguments.
        timeout: seconds.
        where: for errors, the device, or the program.
        doing: for errors, what this is, after "while".
        missing: what to do where there is no such program.
        into: a folder that it fills.
        limit: bytes at most, of that folder or else of stdout; None for any number of stdout, whose end is kept.
        group: whether to end what it started, too; not where that serves others, as adb's server does.

    Raises:
        MissingDependencyError: there is no such program.
        DeviceError: it does not end in time.
        InputError: it gives more bytes.
    """
    try:
        transport, program = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Program(_KEPT if into or limit is None else limit),
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us: what is to be put back on a device needs programs that live
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        raise MissingDependencyError(f"the program {argv[0]!r} is not installed; {missing}") from error
    try:
        async with asyncio.timeout(timeout):
            ended = False
            while not ended:
                ended = await _within(program.exited, _LOOK)
                if ended:
                    await _within(program.closed, _GRACE)
                if limit is not None and (program.over if into is None else _overfull(into, limit)):
                    raise InputError(
                        f"{plain(where)}: over {limit >> 10} KiB while {doing}, more than is read; start again"
                    )
    except TimeoutError as error:
        advice = "see if the device is locked or hangs, or restart it"
        raise DeviceError(f"{plain(where)}: not finished after {timeout:g} s while {doing}; {advice}") from error
    finally:
        _, cancelled = await to_its_end(_end(transport, program, group))
        if cancelled:
            raise asyncio.CancelledError
    code = transport.get_returncode()
    assert code is not None
    return Done(code, bytes(program.kept[1]), bytes(program.kept[2]))


class _Program(asyncio.SubprocessProtocol):
    """The end of what a program says: `most` bytes, and one that says there are more. `closed` is later than `exited`
    where a child of it holds its pipes."""

    def __init__(self, most: int) -> None:
        self.kept, self._most = {1: bytearray(), 2: bytearray()}, {1: most, 2: _KEPT}
        self.exited, self.closed = asyncio.Event(), asyncio.Event()

    @property
    def over(self) -> bool:
        """Whether there was more of stdout than is kept."""
        return len(self.kept[1]) > self._most[1]

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.kept[fd].extend(data)
        del self.kept[fd][: -self._most[fd] - 1]

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


async def _end(transport: asyncio.SubprocessTransport, program: _Program, group: bool) -> None:
    """Stop what still runs of it, or of its whole group; a server that left the group is let go."""
    if group and not program.exited.is_set():
        with suppress(*_NOBODY):
            os.killpg(transport.get_pid(), signal.SIGINT)
        await _within(program.closed, _GRACE)
    if not (program.closed if group else program.exited).is_set():
        with suppress(*_NOBODY):
            os.killpg(transport.get_pid(), signal.SIGKILL) if group else transport.kill()
        await _within(program.closed, _GRACE)
    transport.close()


async def _within(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


def _overfull(folder: Path, most: int) -> bool:
    size = count = 0
    for root, folders, files in os.walk(folder):
        count += len(folders) + len(files)
        for name in files:
            with suppress(OSError):
                size += os.lstat(os.path.join(root, name)).st_size
        if size > most or count > _MOST_FILES:
            return True
    return False
