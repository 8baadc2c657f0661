"""The target table. A new target is one module with `lower` and `open`, and one row here."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from edgekit.errors import InputError, UsageError
from edgekit.targets.base import Coverage, LowerOptions, Precision, Runner, Target, TimedRunner

__all__ = [
    "TARGETS",
    "Coverage",
    "LowerOptions",
    "Precision",
    "Runner",
    "Target",
    "TimedRunner",
    "by_suffix",
    "find",
    "of",
    "select",
    "timed",
]

_ONNX = ("onnx", "onnxscript", "onnxruntime")

TARGETS = (
    Target("ios", "ios", "coreml", ".mlpackage", "fp16", "coreml",
           "edgekit.targets.coreml.backend", ("coremltools",), "coreml"),
    Target("android", "android", "executorch", ".pte", "fp32", "executorch",
           "edgekit.targets.executorch.backend", ("executorch",), "executorch"),
    Target("onnx", "onnx", "onnx", ".onnx", "fp32", "onnx",
           "edgekit.targets.onnx.backend", _ONNX, "onnx"),
    Target("ios-executorch", "ios", "executorch", ".pte", "fp16", "coreml",
           "edgekit.targets.executorch.coreml", ("coremltools", "executorch"), "coreml,executorch"),
)  # fmt: skip


def select(names: Sequence[str], format: str | None = None) -> list[Target]:
    """The rows that target names ask for; `all` is each platform in its own format.

    Raises:
        UsageError: an unknown name, or a platform that is not offered in `format`.
    """
    platforms = list(dict.fromkeys(row.name for row in TARGETS))
    wanted = platforms if "all" in names else list(dict.fromkeys(names))
    chosen = []
    for name in wanted:
        rows = [row for row in TARGETS if row.name == name]
        if not rows:
            near = difflib.get_close_matches(name, [*platforms, "all"], n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(platforms)}, all"
            raise UsageError(f"unknown target {name!r}; {hint}")
        fitting = rows[:1] if format is None else [row for row in rows if row.format == format]
        if not fitting:
            raise UsageError(
                f"target {name} is not offered as {format}; choose from {', '.join(r.format for r in rows)}"
            )
        chosen += fitting
    return chosen


def find(name: str, format: str) -> Target:
    """The row that a manifest names.

    Raises:
        UsageError: this version has no such target.
    """
    for row in TARGETS:
        if (row.name, row.format) == (name, format):
            return row
    raise UsageError(f"this version of EdgeKit has no target {name} in format {format}")


def timed(runner: Runner) -> TimedRunner:
    """The same runner, for measuring.

    Raises:
        UsageError: it is a stand-in for the device's runtime, whose time says nothing.
    """
    if runner.reference:
        raise UsageError(
            "a Core ML model runs here on a stand-in, whose time says nothing: measure it on a Mac or a phone"
        )
    return cast("TimedRunner", runner)


def of(path: Path) -> Target:
    """The target that an artifact was made for, by its name.

    Raises:
        InputError: it is no artifact by its name.
    """
    row = by_suffix(path.suffix)
    if row is None:
        raise InputError(f"{path}: not an artifact by its name; give a .mlpackage, .pte or .onnx")
    return row


def by_suffix(suffix: str) -> Target | None:
    """The target whose files end so: the guess for an artifact that comes without a manifest."""
    return next((row for row in TARGETS if row.suffix == suffix), None)
