"""Latency on iPhones: install the app, give it a job, let it measure, take the result, and remove the job."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from edgekit.bench.drivers.base import Outcome, Say, chosen, plain, to_its_end
from edgekit.bench.drivers.ios.app import Products, find_products
from edgekit.bench.drivers.ios.devicectl import DEVICECTL
from edgekit.bench.drivers.ios.goios import GO_IOS
from edgekit.bench.drivers.ios.job import IosJob
from edgekit.bench.drivers.ios.process import call
from edgekit.bench.drivers.ios.steps import Device, answer, ask, install, measure, remove
from edgekit.bench.drivers.ios.tools import Tools, is_udid, trouble
from edgekit.bench.protocol import ComputeUnits
from edgekit.errors import DeviceError, EdgeKitError, UsageError
from edgekit.support.progress import DONE
from edgekit.support.text import reason_of

__all__ = ["IosJob", "IosOutcome", "bench_phone", "bench_phones", "choose", "tools_of"]

_LISTING = 60.0  # seconds


@dataclass(frozen=True)
class IosOutcome(Outcome):
    """One device with one setting of the compute units; None where the device could not be used at all."""

    compute_units: ComputeUnits | None = None


def tools_of(platform: str = sys.platform) -> Tools:
    """The programs that reach iPhones from here; UsageError where there are none."""
    if platform not in ("darwin", "linux"):
        raise UsageError(f"iPhones are measured from macOS or Linux, this is {platform}; use one of those")
    return DEVICECTL if platform == "darwin" else GO_IOS


async def choose(tools: Tools, udids: Sequence[str] = (), *, every: bool = False) -> list[str]:
    """The devices to measure on: those named, all that are connected, or the only one.

    Raises:
        UsageError: there is no device, none is chosen out of several, or one that is named is not connected.
        MissingDependencyError: a program is not installed.
        DeviceError: the devices cannot be listed.
    """
    doing = "listing the devices"
    with TemporaryDirectory(prefix="edgekit-") as folder:
        path = Path(folder) / "devices.json"
        done = await call(tools.listing(path), _LISTING, where=tools.provider, doing=doing, missing=tools.missing)
        if done.code:
            raise trouble(tools, done, tools.provider, doing)
        found = tools.listed(answer(done, path, f"{tools.provider}: its list of devices"))
    if not found:
        raise UsageError("no iPhone is connected; plug one in, unlock it, and tap Trust on it")
    return chosen([(one.udid, one.state) for one in found], udids, every=every)


async def bench_phones(tools: Tools, job: IosJob, udids: Sequence[str], *, say: Say | None = None) -> list[IosOutcome]:
    """Measure on all of them at once, each by itself; outcomes in their order.

    Raises:
        EdgeKitError: the model has changed, or what Xcode built cannot be used.
    """
    await asyncio.to_thread(job.check)
    products = await asyncio.to_thread(find_products, job.app)
    outcomes = await asyncio.gather(*(bench_phone(tools, job, products, udid, say=say) for udid in udids))
    return [one for several in outcomes for one in several]


async def bench_phone(
    tools: Tools, job: IosJob, products: Products, udid: str, *, say: Say | None = None
) -> list[IosOutcome]:
    """Measure on one device with each of the compute units; an outcome each, fewer where the device fails.

    However a run ends, by cancellation too, its job is removed from the device first. Errors in outcomes:
    DeviceError where the device is lost, locked, full or silent, does not trust this computer, or the test fails on it;
    InputError where the result is none; MissingDependencyError where a program is not installed.
    """

    def tell(step: str) -> None:
        if say is not None:
            say(udid, step)

    device, outcomes, units = Device(tools, udid, job, products), list[IosOutcome](), None
    try:
        if not is_udid(udid):
            raise UsageError(f"device {udid[:60]!r} is none; give an identifier as Xcode shows it")
        tell("preflight")
        await ask(device)
        tell("install the app")
        await install(device)
        for units in job.compute_units:
            if outcomes and outcomes[-1].error is not None:
                await ask(device)  # is it still there?
            outcomes.append(await _once(device, units, tell))
    except EdgeKitError as error:
        outcomes.append(IosOutcome(udid, error=error, compute_units=units))
    except Exception as error:  # a fault of ours must not spoil the other devices either
        told = DeviceError(f"{plain(udid)}: measuring failed ({type(error).__name__}: {plain(reason_of(error))})")
        outcomes.append(IosOutcome(udid, error=told, compute_units=units))
    failed = next((one.error for one in outcomes if one.error is not None), None)
    tell(DONE if failed is None else f"failed: {failed}")
    return outcomes


async def _once(device: Device, units: ComputeUnits, tell: Callable[[str], None]) -> IosOutcome:
    error: EdgeKitError | None = None
    try:
        result, plan = await measure(device, units, tell)
    except EdgeKitError as failure:
        error = failure
    finally:
        left, cancelled = await to_its_end(remove(device))
        told = f"not removed from the device: {left}"
        if left:
            tell(told)
        if cancelled:
            raise asyncio.CancelledError
    if error is not None:
        error = type(error)(f"{error}; {told}") if left else error
        return IosOutcome(device.udid, error=error, compute_units=units)
    result = result.model_copy(update={"errors": (*result.errors, told)[-64:]}) if left else result
    return IosOutcome(device.udid, result, compute_units=units, plan=plan)
