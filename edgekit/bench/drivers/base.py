"""What the drivers of all devices share."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from edgekit.bench import schema as s
from edgekit.bench.drivers.ios.compute_plan import ComputePlan
from edgekit.errors import EdgeKitError, UsageError
from edgekit.support.text import shown

__all__ = ["Outcome", "Say", "chosen", "plain", "run", "to_its_end"]

_T = TypeVar("_T")
Say = Callable[[str, str], None]  # a device's serial, and what happens on it


@dataclass(frozen=True)
class Outcome:
    """One device: its result, with the compute units' plan where an iPhone told it, or why there is none."""

    serial: str
    result: s.Result | None = None
    error: EdgeKitError | None = None
    plan: ComputePlan | None = None


def chosen(found: Sequence[tuple[str, str]], wanted: Sequence[str], *, every: bool) -> list[str]:
    """Of the (serial, state) that are connected, those named, all, or the only one.

    Raises:
        UsageError: none is chosen out of several, or one that is named is not connected.
    """
    known = [serial for serial, _ in found]
    listed = plain(", ".join(f"{serial} ({state})" for serial, state in found), 400)
    missing = [serial for serial in wanted if serial not in known]
    if missing:
        raise UsageError(f"no device {plain(', '.join(map(repr, missing)))}; connected: {listed}")
    if wanted:
        return list(dict.fromkeys(wanted))
    if every or len(known) == 1:
        return known
    raise UsageError(f"{len(known)} devices are connected; choose by --serial or --all-devices: {listed}")


def plain(text: str | bytes, most: int = 200) -> str:
    """What a device or a user said as one line that is safe on a terminal, its end if it is long."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    line = shown(" ".join(text.split()), None)
    return line if len(line) <= most else "..." + line[3 - most :]


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run it from code that has no event loop; Ctrl-C and SIGTERM cancel it, and it ends as it likes.

    Raises:
        KeyboardInterrupt: that happened.
    """

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

    try:
        return asyncio.run(main())
    except asyncio.CancelledError as error:
        raise KeyboardInterrupt from error


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
