"""Run one program of the host to its end: argument lists only, a time limit, bounded output, its own process group."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgekit.bench.adb import plain
from edgekit.bench.android_undo import to_its_end
from edgekit.errors import DeviceError, InputError, MissingDependencyError

__all__ = ["Done", "call"]

_BLOCK = 1 << 16
_KEPT = 1 << 20  # bytes of the end of stdout and of stderr that are kept
_GRACE = 5.0  # seconds between asking a program to stop and killing it: xcodebuild ends the test on the device
_LOOK = 0.2  # seconds between looks at what a program writes
_MOST_FILES = 100


@dataclass(frozen=True)
class Done:
    """How a program ended, and the end of what it said."""

    code: int
    stdout: bytes
    stderr: bytes


async def call(
    argv: Sequence[str],
    timeout: float,
    *,
    where: str,
    doing: str,
    missing: str,
    into: tuple[Path, int] | None = None,
) -> Done:
    """Run a program without a shell, a terminal or stdin. However this ends, neither it nor its children live on.

    Args:
        argv: the program and its arguments.
        timeout: seconds.
        where: for errors, the device, or the program.
        doing: for errors, what this is, after "while".
        missing: what to do where there is no such program.
        into: a folder that it fills, and how many bytes at most.

    Raises:
        MissingDependencyError: there is no such program.
        DeviceError: it does not end in time.
        InputError: it fills the folder with more.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us: what is to be removed from the device needs programs that live
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        raise MissingDependencyError(f"no program {argv[0]!r}; {missing}") from error
    output, errors = bytearray(), bytearray()
    reading = asyncio.gather(_tail(process.stdout, output), _tail(process.stderr, errors))
    try:
        async with asyncio.timeout(timeout):
            ended = asyncio.ensure_future(process.wait())
            while not ended.done():
                await asyncio.wait([ended], timeout=_LOOK if into else None)
                if into is not None and _overfull(*into):
                    raise InputError(f"{plain(where)}: over {into[1] >> 10} KiB while {doing}; not read on")
            await asyncio.wait([reading], timeout=_GRACE)  # a child that it left behind may hold its pipes
    except TimeoutError as error:
        raise DeviceError(
            f"{plain(where)}: no end after {timeout:g} s while {doing}; see if the device is locked or hangs"
        ) from error
    finally:
        _, cancelled = await to_its_end(_end(process, reading))
        if cancelled:
            raise asyncio.CancelledError
    assert process.returncode is not None
    return Done(process.returncode, bytes(output), bytes(errors))


async def _end(process: asyncio.subprocess.Process, reading: asyncio.Future[tuple[None, None]]) -> None:
    """Stop the whole group where something of it still runs, and read the pipes to their end."""
    if process.returncode is None:
        _signal(process.pid, signal.SIGINT)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE)
    if process.returncode is None or not reading.done():
        _signal(process.pid, signal.SIGKILL)
        await process.wait()
        await asyncio.wait([reading], timeout=_GRACE)
    if not reading.done():
        reading.cancel()
        await asyncio.wait([reading])


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        os.kill(group, number)


async def _tail(stream: asyncio.StreamReader | None, kept: bytearray) -> None:
    while stream is not None and (block := await stream.read(_BLOCK)):
        kept.extend(block)
        del kept[:-_KEPT]


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
