"""Latency on Android devices through adb: prepare each, measure with the native runner, and leave it as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from edgekit.bench import schema as s
from edgekit.bench.drivers.android.adb import Adb
from edgekit.bench.drivers.android.job import File, Job, pack
from edgekit.bench.drivers.android.steps import measure
from edgekit.bench.drivers.android.undo import Undo
from edgekit.bench.drivers.base import Outcome, Say, chosen, plain, to_its_end
from edgekit.errors import DeviceError, EdgeKitError, UsageError
from edgekit.support.progress import DONE
from edgekit.support.text import reason_of

__all__ = ["Job", "bench_device", "bench_devices", "choose"]


async def choose(adb: Adb, serials: Sequence[str] = (), *, every: bool = False) -> list[str]:
    """The serials to measure on: those named, all that are connected, or the only one.

    Raises:
        UsageError: there is no device, none is chosen out of several, or one that is named is not connected.
    """
    found = await adb.devices()
    if not found:
        raise UsageError("no device is connected; plug one in, allow debugging on it, and see `adb devices`")
    return chosen([(one.serial, one.state) for one in found], serials, every=every)


async def bench_devices(adb: Adb, job: Job, serials: Sequence[str], *, say: Say | None = None) -> list[Outcome]:
    """Measure on all of them at once, each by itself; outcomes in their order.

    Raises:
        EdgeKitError: a file of the job cannot be used.
    """
    files = await asyncio.to_thread(pack, job)

    async def one(serial: str) -> Outcome:
        try:
            return Outcome(serial, await bench_device(adb.at(serial), job, say=say, files=files))
        except EdgeKitError as error:
            failed = error
        except Exception as error:  # a fault of ours must not spoil the other devices either
            failed = DeviceError(
                f"{plain(serial)}: measuring failed ({type(error).__name__}: {plain(reason_of(error))})"
            )
        if say is not None:
            say(serial, f"failed: {failed}")
        return Outcome(serial, error=failed)

    return await asyncio.gather(*(one(serial) for serial in serials))


async def bench_device(adb: Adb, job: Job, *, say: Say | None = None, files: Sequence[File] | None = None) -> s.Result:
    """Measure on one device. However it ends, by cancellation too, settings are restored and files removed first.

    Args:
        adb: with the device's serial.
        say: is told each step.
        files: what to push, where several devices share it.

    Raises:
        DeviceError: the device is lost, unauthorised, offline, full or silent, or the runner fails on it.
        InputError: a file of the job cannot be used, or the device's result is none.
        IntegrityError: a file has other bytes than it should, here or on the device.
    """
    tell = say or (lambda serial, step: None)
    packed = files if files is not None else await asyncio.to_thread(pack, job)
    undo = Undo(adb, job.cleanup_timeout_s)
    serial = adb.serial or ""
    try:
        result = await measure(adb, job, packed, undo, lambda step: tell(serial, step))
        tell(serial, "putting it back")
    except BaseException as error:
        left, _ = await to_its_end(undo.run())
        if left:
            told = f"not put back on the device: {', '.join(left)}"
            tell(serial, told)
            if isinstance(error, EdgeKitError):
                raise type(error)(f"{error}; {told}") from error
        raise
    left, cancelled = await to_its_end(undo.run())
    told = f"not put back on the device: {', '.join(left)}" if left else DONE
    tell(serial, told)
    if cancelled:
        raise asyncio.CancelledError
    return result.model_copy(update={"errors": (*result.errors, told)[-64:]}) if left else result
