"""What is to be measured, where and how: one request for this machine and for every kind of device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.support.fields import Converted, OptionalPath, PathsField, check_number, optional_path, paths

__all__ = ["BenchRequest"]


@dataclass(frozen=True, kw_only=True)
class BenchRequest:
    """What to measure, where, and how long. What is None or empty is not given: the driver's own default holds.

    A field that the driver of `on` does not use is refused by name (`edgekit.bench.drivers.table` says who uses which).
    """

    artifacts: PathsField = Converted(paths)  # files, or folders of exports
    on: str = "host"  # the key of a driver
    threads: int | None = None  # of the CPU, and cores to stay on; default 1
    warmup: int = 10  # inferences before the first sample
    min_iterations: int = 100  # samples, at least
    min_duration_s: float = 5.0  # of each artifact's samples, at least
    images: int = 8  # different ones, which are set anew one an inference
    allow_bare: bool = False  # also files that have no manifest beside them

    serials: Sequence[str] = ()  # which devices; default: the only one that is connected
    all_devices: bool | None = None  # all that are connected, at once
    app: OptionalPath = Converted(optional_path, None)  # android_bench's APK, or what Xcode built of ios_bench
    runner: OptionalPath = Converted(optional_path, None)  # in place of `app`: android_bench's native runner
    library: OptionalPath = Converted(
        optional_path, None
    )  # and the runtime that it opens: libonnxruntime.so, libLiteRt.so
    airplane: bool | None = None  # meanwhile; default False
    stay_awake: bool | None = None  # keep the screen on meanwhile; default True
    cooldown_minutes: float | None = None  # to wait until the device is cool, at most; default 5
    compute_units: Sequence[str] = ()  # or LiteRT's accelerators, each a run of its own; default: all, cpu

    def __post_init__(self) -> None:
        """Raises UsageError where a number is not one that can be meant."""
        check_number("warmup", self.warmup, 0)
        check_number("min_iterations", self.min_iterations, 1)
        check_number("min_duration_s", self.min_duration_s, 0, whole=False)
        check_number("images", self.images, 1)
        if self.threads is not None:
            check_number("threads", self.threads, 1)
        if self.cooldown_minutes is not None:
            check_number("cooldown_minutes", self.cooldown_minutes, 0, whole=False)
