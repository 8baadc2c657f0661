"""What is to be put back on a device, whatever happens."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from edgekit.bench.drivers.android.adb import Adb
from edgekit.errors import DeviceError, EdgeKitError

__all__ = ["Undo"]

_ATTEMPT = 10.0  # seconds that one step may take


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
