"""Latency on Android devices through adb: prepare each, measure with the app or the native runner, restore it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekit.artifact.folder import find
from edgekit.bench.drivers.android.adb import Adb, Undo
from edgekit.bench.drivers.android.job import AndroidJob
from edgekit.bench.drivers.android.steps import measure
from edgekit.bench.drivers.base import Outcome, Say, chosen, require_formats
from edgekit.bench.drivers.phone import opened
from edgekit.bench.protocol import ACCELERATORS, compute_units_of
from edgekit.bench.request import BenchRequest
from edgekit.errors import EdgeKitError, InputError, UsageError
from edgekit.support.progress import Reporter

__all__ = ["AndroidDriver"]

_README = "android_bench/README.md says how to get"
_NATIVE = (".onnx", ".tflite")


def _check_native(request: BenchRequest) -> None:
    """UsageError where the native runner cannot do what is asked for: it has one library, and measures on the CPU."""
    if request.compute_units:
        raise UsageError(
            "`compute_units` on Android are for `app`; the native runner measures on the CPU", field="compute_units"
        )
    require_formats(request, _NATIVE, "the native runner takes")
    if len({find(path)[0].suffix for path in request.artifacts}) > 1:
        raise UsageError(
            f"`library` opens one format; give {' and '.join(_NATIVE)} files in runs of their own", field="artifacts"
        )


class AndroidDriver:
    """The driver of Android devices; UsageError where nothing that measures is given, InputError of a missing file."""

    def __init__(self, request: BenchRequest, reporter: Reporter, adb: Adb | None = None) -> None:
        tools = {name: getattr(request, name) for name in ("app", "runner", "library")}
        self._tools = given = {name: path for name, path in tools.items() if path is not None}
        if set(given) not in ({"app"}, {"runner", "library"}):
            raise UsageError(
                f'`on="android"` needs `app`, or `runner` and `library`; {_README} them',
                field="app" if not given else min(given),
            )
        for name, path in given.items():
            if not path.is_file():
                raise InputError(f"{path}: no such file for `{name}`; {_README} one", field=name)
        if request.app is None:
            _check_native(request)
        if request.compute_units:
            require_formats(request, (".tflite",), "`compute_units` on Android are for")
        self._accelerators = compute_units_of(request.compute_units, ACCELERATORS)
        self._request, self._reporter = request, reporter
        self._adb = adb or Adb()
        self._undo: dict[str, Undo] = {}

    async def choose(self) -> list[str]:
        """The devices to measure on; raises as `chosen`, and MissingDependencyError where there is no adb."""
        none = "no device is connected; plug one in, allow debugging on it, and see `adb devices`"
        return chosen(await self._adb.devices(), self._request, none)

    @contextmanager
    def prepare(self, artifacts: Sequence[Path]) -> Iterator[AndroidJob]:
        """The job of measuring the only one of `artifacts`; EdgeKitError where it or a file cannot be used."""
        (path,), request = artifacts, self._request
        minutes = request.cooldown_minutes
        asked: dict[str, Any] = {"airplane": request.airplane, "stay_awake": request.stay_awake}
        asked |= {"cooldown_timeout_s": None if minutes is None else 60 * minutes}
        given = {name: value for name, value in asked.items() if value is not None}
        given |= opened(path, request, self._reporter)
        if request.app is not None and given["asked"].format == "litert":
            given["accelerators"] = self._accelerators
        job = AndroidJob(**self._tools, **given)
        _ = job.files  # read here, once for all devices
        yield job

    async def measure(self, job: AndroidJob, serial: str, say: Say) -> AsyncIterator[Outcome]:
        """Measure once, or with each of the accelerators; an outcome each.

        Errors, in outcomes:
            DeviceError: the device is lost, unauthorised, offline, full or silent, or the runner fails on it.
            InputError: a file of the job cannot be used, or the device's result is none.
            IntegrityError: a file has other bytes than it should, here or on the device.
        """
        adb = self._adb.at(serial)
        for accelerator in job.accelerators:
            undo = self._undo[serial] = Undo(adb, job.cleanup_timeout_s)
            try:
                result, rows = await measure(adb, job, undo, say, accelerator)
                say("putting it back")
                outcome = Outcome(serial, result, embeddings=rows, compute_units=accelerator)
            except EdgeKitError as error:
                outcome = Outcome(serial, error=error, compute_units=accelerator)
            yield outcome

    async def restore(self, serial: str) -> list[str]:
        """Restore settings and remove files and the app; what could not be."""
        undo = self._undo.get(serial)
        return [] if undo is None else await undo.run()
