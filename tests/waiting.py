"""Waiting for what a test is about: an event, not a number of seconds that a busy machine may not keep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["PATIENCE", "until"]

PATIENCE = 900.0  # seconds after which a thing that hangs is said to; no machine needs so long for one that does not


class Process(Protocol):
    """A process that was started."""

    @property
    def returncode(self) -> int | None: ...

    def poll(self) -> int | None: ...


def until(holds: Callable[[], object], process: Process | None = None) -> None:
    """Wait until something holds; an error if `process`, which is to bring it about, ends without it."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert process is None or process.poll() is None or holds(), f"it ended with {process.returncode} before"
        assert time.monotonic() < end, f"it did not come about in {PATIENCE:.0f} s"
        time.sleep(0.01)
