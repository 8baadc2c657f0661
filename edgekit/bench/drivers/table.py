"""The table of drivers. A new kind of device is a class with `Driver`'s verbs, and one row, here or from outside."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from edgekit.bench.request import BenchRequest
from edgekit.errors import UsageError
from edgekit.support.text import either

if TYPE_CHECKING:
    from edgekit.bench.drivers.base import Driver
    from edgekit.support.progress import Reporter

__all__ = ["DRIVERS", "Row", "find", "refuse", "register", "unregister"]

# What every driver takes.
_ALL = frozenset({"artifacts", "on", "warmup", "min_iterations", "min_duration_s", "images", "allow_bare"})


@dataclass(frozen=True, kw_only=True)
class Row:
    """One kind of device, and how it is measured on."""

    key: str  # what a request calls it in `on`
    formats: tuple[str, ...] | None  # endings of the files that it takes; None: whatever opens on this machine
    fields: frozenset[str]  # of the request, that it uses beside those that every driver does
    driver: str | Callable[[BenchRequest, Reporter], Driver[Any]]  # a class; as a text, where it is: `module:Class`
    in_turns: bool = False  # all artifacts are measured at once, not one after the other
    embeds: bool = False  # its job is a `phone.PhoneJob`, and gives embeddings back where that asks for them
    decodes: bool = False  # and its app decodes photos itself

    def make(self, request: BenchRequest, reporter: Reporter) -> Driver[Any]:
        """The driver for a request."""
        make = pkgutil.resolve_name(self.driver) if isinstance(self.driver, str) else self.driver
        driver: Driver[Any] = make(request, reporter)
        return driver


_DEVICES = frozenset({"serials", "all_devices", "app"})
_ANDROID = _DEVICES | {"threads", "compute_units", "runner", "library", "airplane", "stay_awake", "cooldown_minutes"}
_HOST_DRIVER = "edgekit.bench.drivers.host.driver:HostDriver"
_ANDROID_DRIVER = "edgekit.bench.drivers.android.driver:AndroidDriver"
_ARM64_DRIVER = "edgekit.bench.drivers.arm64.driver:Arm64Driver"
_IOS_DRIVER = "edgekit.bench.drivers.ios.driver:IosDriver"
DRIVERS = [
    Row(key="host", formats=None, fields=frozenset({"threads"}), driver=_HOST_DRIVER, in_turns=True),
    Row(
        key="android",
        formats=(".onnx", ".pte", ".tflite"),
        fields=_ANDROID,
        driver=_ANDROID_DRIVER,
        embeds=True,
        decodes=True,
    ),
    Row(
        key="ios",
        formats=(".mlpackage", ".aimodel"),
        fields=_DEVICES | {"compute_units"},
        driver=_IOS_DRIVER,
        embeds=True,
        decodes=True,
    ),
    Row(
        key="arm64",
        formats=(".onnx", ".pte", ".tflite"),
        fields=frozenset({"threads"}),
        driver=_ARM64_DRIVER,
        embeds=True,
    ),
]


def register(row: Row) -> None:
    """Add a kind of device from outside for this process.

    Raises:
        UsageError: another row has its key, or it names a field that no request has.
    """
    if unknown := row.fields - {field.name for field in fields(BenchRequest)}:
        raise UsageError(f"a request has no field {', '.join(sorted(unknown))}, which driver {row.key} names")
    if any(other.key == row.key for other in DRIVERS):
        raise UsageError(f"a driver {row.key} is registered already; give yours another key")
    DRIVERS.append(row)


def unregister(row: Row) -> None:
    """Take away a row that was registered; ValueError where it was not."""
    DRIVERS.remove(row)


def find(request: BenchRequest) -> Row:
    """The row that a request names in `on`; UsageError where there is none, or where it does not use a given field."""
    for row in DRIVERS:
        if row.key == request.on:
            refuse(request, row.fields)
            return row
    raise UsageError(f"`on` is {request.on!r}; give one of {', '.join(row.key for row in DRIVERS)}", field="on")


def refuse(request: BenchRequest, fields: Iterable[str]) -> None:
    """UsageError where a request gives more than `fields` and those that every driver takes; it names who uses it."""
    given = (name for name, value in vars(request).items() if value not in (None, (), []))
    unused = [name for name in given if name not in _ALL and name not in fields]
    if unused:
        users = {name: [row.key for row in DRIVERS if name in row.fields] for name in unused}
        said = ", ".join(f"`{name}` is for {either(keys) or 'no kind of device'}" for name, keys in users.items())
        raise UsageError(f"{said}: leave {'it' if len(unused) == 1 else 'them'} out", field=unused[0])
