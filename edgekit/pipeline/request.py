"""What an export is asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgekit import targets
from edgekit.artifact.manifest import Manifest
from edgekit.errors import EdgeKitError, UsageError
from edgekit.parity.report import ParityReport
from edgekit.recipe import Recipe, resolve_model
from edgekit.support.fields import AnyPath, Converted, OptionalPath, PathField, check_number, optional_path
from edgekit.targets import Precision, Target

if TYPE_CHECKING:
    from edgekit.quantization import Plan

__all__ = ["FLOATS", "Export", "ExportRequest", "ExportResult"]

FLOATS: tuple[Precision, ...] = ("fp32", "fp16")


def _plan_of(given: Plan | AnyPath | None) -> Plan | None:
    if not isinstance(given, Path | str):
        return given
    from edgekit.quantization import read_plan

    return read_plan(Path(given))


@dataclass(frozen=True)
class ExportRequest:
    """What to export, to where, and how to check it. Recipe and targets may be names, as on the command line."""

    recipe: Converted[Recipe | Path | str | None, Recipe] = Converted(resolve_model)
    targets: Converted[str | Sequence[Target | str], Sequence[Target]] = Converted(targets.select)
    out: PathField = Converted(Path, Path("exported"))
    precision: Precision | Literal["int8"] | None = None  # None: each target's; with a plan, of what it leaves in float
    plan: Converted[Plan | AnyPath | None, Plan | None] = Converted(_plan_of, None)
    min_ios: int | None = None  # None: each format's own
    dynamic_batch: bool = False
    input_dtype: str = "float32"
    images: OptionalPath = Converted(optional_path, None)  # None: the synthetic catalogue
    samples: int | None = None  # of the catalogue; None: 64, and fewer where a runtime is slow
    allow_inconclusive: bool = False
    verify: bool = True
    compare: bool = False  # with a plan: also make the float forms, and say whether the plan pays

    def __post_init__(self) -> None:
        """Raises UsageError where a value is none of those that can be meant."""
        if self.min_ios is not None:
            check_number("min_ios", self.min_ios, 1)
        if self.samples is not None:
            check_number("samples", self.samples, 2)
        for field, allowed in (("precision", (None, *FLOATS, "int8")), ("input_dtype", ("float32", "uint8"))):
            if (value := getattr(self, field)) not in allowed:
                names = ", ".join(name for name in allowed if name)
                raise UsageError(f"`{field}` is {value!r}; choose from {names}", field=field)


@dataclass(frozen=True)
class Export:
    """One artifact: published under `folder`, or held back by `error`."""

    target: Target
    precision: str  # "fp32", "fp16", or the plan's scheme
    folder: Path
    seconds: float
    manifest: Manifest | None = None
    report: ParityReport | None = None
    error: EdgeKitError | None = None

    @property
    def artifact(self) -> Path | None:
        """The published file or package."""
        return self.folder / self.manifest.artifact if self.manifest else None


@dataclass(frozen=True)
class ExportResult:
    """All artifacts of one request, in the order of its targets."""

    exports: Sequence[Export]

    def raise_for_failures(self) -> None:
        """Raise the first target's error, if any target was held back."""
        for item in self.exports:
            if item.error is not None:
                raise item.error
