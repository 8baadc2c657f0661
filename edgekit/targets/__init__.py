"""The target table. A new target is a module with `lower` and `open`, and one row, also from outside."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from edgekit.errors import InputError, UsageError
from edgekit.targets import coreai, coreml, executorch, litert, onnx
from edgekit.targets.base import Coverage, LowerOptions, Precision, Runner, Runtime, Target, TimedRunner

__all__ = [
    "TARGETS",
    "Coverage",
    "LowerOptions",
    "Precision",
    "Runner",
    "Runtime",
    "Target",
    "TimedRunner",
    "by_suffix",
    "check_request",
    "find",
    "of",
    "platforms",
    "register",
    "select",
    "timed",
    "unregister",
]

# The first row of a platform is its own format; the first row of a suffix opens files that come without a manifest.
_NAME = re.compile(r"[a-z][a-z0-9-]*")  # it becomes part of the name of a folder
TARGETS: list[Target] = [coreml.IOS, executorch.ANDROID, onnx.ONNX, executorch.IOS, coreai.IOS, litert.ANDROID]


def register(row: Target) -> None:
    """Add a target from outside for this process; its files are made, opened, run and measured like any other's.

    Raises:
        UsageError: another row has its key, or its platform and format, or one of them is no plain name.
    """
    for name in (row.key, row.platform, row.format):
        if not _NAME.fullmatch(name) or name == "all":
            raise UsageError(f"a target cannot be called {name!r}: give a word of small letters, digits and hyphens")
    if not re.fullmatch(r"\.\w+", row.suffix):
        raise UsageError(f"the files of target {row.key} need a suffix such as .onnx, not {row.suffix!r}")
    for other in TARGETS:
        if row.key == other.key or (row.platform, row.format) == (other.platform, other.format):
            raise UsageError(f"target {row.key}, {row}, is registered already as {other.key}, {other}")
    TARGETS.append(row)


def unregister(row: Target) -> None:
    """Take away a row that was registered; ValueError where it was not."""
    TARGETS.remove(row)


def platforms() -> list[str]:
    """What can be asked for, in the table's order; `all` is each of them."""
    return list(dict.fromkeys(row.platform for row in TARGETS))


def select(names: str | Sequence[Target | str], format: str | None = None) -> list[Target]:
    """The rows that target names ask for; `all` is each platform. A row stands for itself.

    Without `format` a platform's files are in its own format; with "all" in each that it has.

    Raises:
        UsageError: an unknown name, or a platform that is not offered in `format`.
    """
    known = platforms()
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise UsageError(f"no target is given; choose from {', '.join(known)}, all", field="targets")
    chosen: list[Target] = []
    for name in known if "all" in names else dict.fromkeys(names):
        if isinstance(name, Target):
            chosen.append(name)
            continue
        rows = [row for row in TARGETS if row.platform == name]
        if not rows:
            near = difflib.get_close_matches(name, [*known, "all"], n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}, all"
            raise UsageError(f"unknown target {name!r}; {hint}", field="targets")
        fitting = rows[:1] if format is None else [row for row in rows if format in (row.format, "all")]
        if not fitting:
            raise UsageError(
                f"target {name} is not offered as {format}; choose from {', '.join(row.format for row in rows)}, all",
                field="format",
            )
        chosen += fitting
    return list(dict.fromkeys(chosen))


def check_request(target: Target, *, dynamic_batch: bool, input_dtype: str) -> None:
    """Refuse what the files of a target cannot be.

    Raises:
        UsageError: says which targets' can.
    """
    if dynamic_batch and not target.dynamic_batch:
        able = _able(lambda row: row.dynamic_batch)
        raise UsageError(f"`dynamic_batch` is for {able}; {target} takes one image", field="dynamic_batch")
    if input_dtype == "uint8" and not target.uint8_input:
        able = _able(lambda row: row.uint8_input)
        takes = "an image already" if target.image_input else "float32 only"
        raise UsageError(f'`input_dtype="uint8"` is for {able}; {target} takes {takes}', field="input_dtype")


def _able(accepts: Callable[[Target], bool]) -> str:
    return " and ".join(dict.fromkeys(row.platform for row in TARGETS if accepts(row)))


def find(platform: str, format: str) -> Target:
    """The row that a manifest names.

    Raises:
        UsageError: this version has no such target.
    """
    for row in TARGETS:
        if (row.platform, row.format) == (platform, format):
            return row
    raise UsageError(f"this version of EdgeKit has no target {platform} in format {format}")


def timed(runner: Runner) -> TimedRunner:
    """The same runner, for measuring.

    Raises:
        UsageError: it is a stand-in for the device's runtime, whose time says nothing.
    """
    if runner.reference:
        raise UsageError(
            "a Core ML model runs here in the reference runtime, whose time says nothing of a device's: measure it "
            "on a Mac or a phone"
        )
    return cast("TimedRunner", runner)


def of(path: Path) -> Target:
    """The target that an artifact was made for, by its name.

    Raises:
        InputError: it is no artifact by its name.
    """
    row = by_suffix(path.suffix)
    if row is None:
        *suffixes, last = dict.fromkeys(row.suffix for row in TARGETS)
        raise InputError(f"{path}: its suffix is not an artifact's; give a {', '.join(suffixes)} or {last}")
    return row


def by_suffix(suffix: str) -> Target | None:
    """The target whose files end so: the guess for an artifact that comes without a manifest."""
    return next((row for row in TARGETS if row.suffix == suffix), None)
