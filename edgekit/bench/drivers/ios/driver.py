"""Latency on iPhones: install the app, give it a job, let it measure, take the result, and remove the job."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from edgekit.bench.drivers.base import Outcome, Say, chosen
from edgekit.bench.drivers.ios.app import find_products
from edgekit.bench.drivers.ios.compute_plan import ComputePlan
from edgekit.bench.drivers.ios.devicectl import DEVICECTL
from edgekit.bench.drivers.ios.goios import GO_IOS
from edgekit.bench.drivers.ios.steps import Device, IosJob, answer, ask, measure, remove
from edgekit.bench.drivers.ios.tools import Tools, is_udid, trouble
from edgekit.bench.drivers.phone import opened
from edgekit.bench.drivers.program import call
from edgekit.bench.protocol import COMPUTE_UNITS, compute_units_of
from edgekit.bench.request import BenchRequest
from edgekit.errors import EdgeKitError, UsageError
from edgekit.support.progress import Reporter

__all__ = ["IosDriver", "IosOutcome", "tools_of"]

_LISTING = 60.0  # seconds


@dataclass(frozen=True)
class IosOutcome(Outcome):
    """One device with one setting of the compute units, and where Core ML meant to run the operators if it told."""

    plan: ComputePlan | None = None


def tools_of(platform: str = sys.platform) -> Tools:
    """The programs that reach iPhones from here; UsageError where there are none."""
    if platform not in ("darwin", "linux"):
        raise UsageError(f"iPhones are measured from macOS or Linux, this is {platform}; use one of those", field="on")
    return DEVICECTL if platform == "darwin" else GO_IOS


class IosDriver:
    """The driver of iPhones; UsageError without an app or of unknown compute units, InputError of a bad app."""

    def __init__(self, request: BenchRequest, reporter: Reporter, tools: Tools | None = None) -> None:
        if request.app is None:
            needs = '`on="ios"` needs `app`, the folder that Xcode built; ios_bench/README.md says how'
            raise UsageError(needs, field="app")
        self._app = request.app
        find_products(self._app)  # says at once what is wrong with it
        self._units = compute_units_of(request.compute_units, COMPUTE_UNITS)
        self._request, self._reporter = request, reporter
        self._tools = tools or tools_of()
        self._devices: dict[str, Device] = {}

    async def choose(self) -> list[str]:
        """The devices to measure on; raises as `chosen` and `call`, and DeviceError where they cannot be listed."""
        tools, doing = self._tools, "listing the devices"
        with TemporaryDirectory(prefix="edgekit-") as folder:
            path = Path(folder) / "devices.json"
            done = await call(tools.listing(path), _LISTING, where=tools.provider, doing=doing, missing=tools.missing)
            if done.code:
                raise trouble(tools, done, tools.provider, doing)
            phones = tools.listed(answer(done, path, f"{tools.provider}: its list of devices")).items()
        none = "no iPhone is connected; plug one in, unlock it, and tap Trust on it"
        return chosen(list(phones), self._request, none)

    @contextmanager
    def prepare(self, artifacts: Sequence[Path]) -> Iterator[IosJob]:
        """The job of measuring the only one of `artifacts`; EdgeKitError where it cannot be opened."""
        (path,) = artifacts
        opened_here = opened(path, self._request, self._reporter)
        yield IosJob(**opened_here, app=self._app, compute_units=self._units)

    async def measure(self, job: IosJob, serial: str, say: Say) -> AsyncIterator[IosOutcome]:
        """Measure with each of the compute units; an outcome each, fewer where the device cannot be used any more.

        Errors, raised or in outcomes: DeviceError where the device is lost, locked, full or silent, does not trust this
        computer, or the test fails on it; UsageError where its iOS is too old for the model; InputError where the
        result is none; MissingDependencyError where a program is not installed; IntegrityError where the model has
        changed.
        """
        if not is_udid(serial):
            raise UsageError(f"{serial[:60]!r} is not the identifier of a device; give one as Xcode shows it")
        await asyncio.to_thread(job.check)
        device = self._devices[serial] = Device(self._tools, serial, job, find_products(job.app))
        say("preflight")
        await ask(device)
        say("install the app")
        argv = self._tools.installing(serial, device.products)
        await device.must(argv, job.copy_timeout_s, "installing the app")  # an older one keeps its files
        failed = False
        for units in job.compute_units:
            try:
                if failed:
                    await ask(device)  # is it still there?
            except EdgeKitError as error:
                yield IosOutcome(serial, error=error, compute_units=units)
                return
            try:
                result, plan, rows = await measure(device, units, say)
                outcome = IosOutcome(serial, result, embeddings=rows, compute_units=units, plan=plan)
            except EdgeKitError as error:
                outcome = IosOutcome(serial, error=error, compute_units=units)
            failed = outcome.error is not None
            yield outcome

    async def restore(self, serial: str) -> list[str]:
        """Remove the job from the device; what could not be removed."""
        device = self._devices.get(serial)
        left = None if device is None else await remove(device)
        return [] if left is None else [left]
