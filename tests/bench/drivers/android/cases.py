"""What the tests of the Android driver share: the driver and the runner of many devices, without a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edgekit.bench.drivers.android.adb import Adb
from edgekit.bench.drivers.android.driver import AndroidDriver
from edgekit.bench.drivers.android.job import AndroidJob
from edgekit.bench.drivers.base import Outcome
from edgekit.bench.drivers.runner import on_devices
from edgekit.bench.request import BenchRequest
from edgekit.bench.schema import Result
from edgekit.support.progress import Silent

__all__ = ["bench_device", "bench_devices", "choose"]

Say = Callable[[str, str], None]


def driver(adb: Adb, serials: Sequence[str] = (), every: bool = False) -> AndroidDriver:
    request = BenchRequest(artifacts=(), app=Path(__file__), serials=serials, all_devices=every)
    return AndroidDriver(request, Silent(), adb)


async def choose(adb: Adb, serials: Sequence[str] = (), *, every: bool = False) -> list[str]:
    return await driver(adb, serials, every).choose()


async def bench_devices(adb: Adb, job: AndroidJob, serials: Sequence[str], *, say: Say | None = None) -> list[Outcome]:
    return await on_devices(driver(adb), job, serials, say or (lambda serial, step: None))


async def bench_device(adb: Adb, job: AndroidJob, *, say: Say | None = None) -> Result:
    """On the client's own device; what its outcome is."""
    assert adb.serial is not None
    (outcome,) = await bench_devices(adb, job, [adb.serial], say=say)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.result is not None
    return outcome.result
