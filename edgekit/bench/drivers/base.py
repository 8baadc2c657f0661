"""What every driver of a kind of device offers, and what several of them share."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from edgekit.artifact.folder import find
from edgekit.bench import schema as s
from edgekit.bench.request import BenchRequest
from edgekit.errors import DeviceError, EdgeKitError, UsageError
from edgekit.support.text import either, shown

__all__ = [
    "Driver",
    "NoRoomError",
    "OnEach",
    "Outcome",
    "Say",
    "chosen",
    "plain",
    "require_formats",
    "run",
    "to_its_end",
]

_T = TypeVar("_T")
_Job = TypeVar("_Job")
_Asked = TypeVar("_Asked", contravariant=True)
Say = Callable[[str], None]  # is told what happens on a device now


class NoRoomError(DeviceError):
    """A device has not enough memory or disk for what it gets at once."""


@dataclass(frozen=True)
class Outcome:
    """One run on one device: its result, or why there is none.

    `embeddings` float32 [count,dim] where the job asks for them; `compute_units` what the run was one of several of.
    """

    serial: str
    result: s.Result | None = None
    error: EdgeKitError | None = None
    embeddings: np.ndarray | None = field(default=None, compare=False, repr=False)
    compute_units: str | None = None
    span: tuple[int, int] = (0, 0)  # which images these are, where they go in parts


class OnEach(Protocol[_Asked]):
    """What is done on each device. Both verbs may raise EdgeKitError, and go on for several devices at once."""

    def measure(self, job: _Asked, serial: str, say: Say) -> AsyncIterator[Outcome]:
        """Measure on one device: an outcome each for one run or several. It remembers each change before it makes it.

        An error ends it, and is the device's last outcome. `restore` follows each outcome, an error and a cancellation.
        """
        ...

    async def restore(self, serial: str) -> Sequence[str]:
        """Put back all that `measure` has changed on a device until now; returns what could not be put back."""
        ...


class Driver(OnEach[_Job], Protocol[_Job]):
    """How one kind of device is measured on. `table.Row` names its class, which is made of a request and a reporter.

    Every verb may raise EdgeKitError.
    """

    async def choose(self) -> Sequence[str]:
        """The devices to measure on, by their serial numbers. Asked once, before anything is opened."""
        ...

    def prepare(self, artifacts: Sequence[Path]) -> AbstractContextManager[_Job]:
        """What is to be done on each device, made ready on this machine; what it holds is let go at the end."""
        ...


def require_formats(request: BenchRequest, suffixes: Sequence[str], who: str) -> None:
    """Say before a long measurement that it cannot be: UsageError for another suffix, InputError for no artifact."""
    for path in request.artifacts:
        artifact, _ = find(path)
        if artifact.suffix not in suffixes:
            raise UsageError(f"{artifact}: {who} {either(suffixes)}; give one of those", field="artifacts")


def chosen(connected: Sequence[tuple[str, str]], request: BenchRequest, none: str) -> list[str]:
    """Of the (serial, state) that are connected, those that the request names, all, or the only one.

    Raises:
        UsageError: there is no device, which `none` says, none is chosen out of several, or one that is named is not
            connected.
    """
    if not connected:
        raise UsageError(none)
    known = [serial for serial, _ in connected]
    listed = plain(", ".join(f"{serial} ({state})" for serial, state in connected), 400)
    missing = [serial for serial in request.serials if serial not in known]
    if missing:
        names = plain(", ".join(map(repr, missing)))
        raise UsageError(f"no device {names} is connected; these are: {listed}", field="serials")
    if request.serials:
        return list(dict.fromkeys(request.serials))
    if request.all_devices or len(known) == 1:
        return known
    choose = "choose by `serials` or `all_devices`"
    raise UsageError(f"{len(known)} devices are connected; {choose}: {listed}", field="serials")


def plain(text: str | bytes, most: int = 200) -> str:
    """What a device or a user said as one line that is safe on a terminal, its end if it is long."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    line = shown(" ".join(text.split()), None)
    return line if len(line) <= most else "..." + line[3 - most :]


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run it to its end; Ctrl-C and SIGTERM in the main thread cancel it, and are a KeyboardInterrupt at its end."""

    async def main() -> _T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        catchable = threading.current_thread() is threading.main_thread() and sys.platform != "win32"
        ours = (signal.SIGINT, signal.SIGTERM) if catchable else ()
        before = {number: signal.getsignal(number) for number in ours}
        try:
            for number in ours:
                loop.add_signal_handler(number, task.cancel)
            return await work
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def in_a_loop() -> _T:
        try:
            return asyncio.run(main())
        except asyncio.CancelledError as error:
            raise KeyboardInterrupt from error

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return in_a_loop()
    with ThreadPoolExecutor(1) as thread:  # a notebook's thread has a loop already
        return thread.submit(in_a_loop).result()


async def to_its_end(work: Coroutine[Any, Any, _T]) -> tuple[_T, bool]:
    """What `work` returns, also if this is cancelled meanwhile, and whether it was."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
        except Exception:
            break
    return task.result(), cancelled
