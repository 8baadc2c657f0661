"""Known hazards: what public threads report to go wrong on devices, looked for in every program and written file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import UsageError
from edgekit.targets.base import LowerOptions, Target
from edgekit.targets.hazards.base import Found, Lowered, Row
from edgekit.targets.hazards.table import HAZARDS

if TYPE_CHECKING:
    from torch import Tensor
    from torch.export import ExportedProgram

__all__ = ["HAZARDS", "Found", "Lowered", "Row", "found", "register", "unregister"]


def register(row: Row) -> None:
    """Add a hazard from outside for this process; every export to its places is looked at.

    Raises:
        UsageError: another row has its name, or it looks at nothing, or its source is no link.
    """
    if any(row.name == other.name for other in HAZARDS):
        raise UsageError(f"hazard {row.name} is in the table already: give the row another name")
    if row.look is None and row.look_file is None:
        raise UsageError(f"hazard {row.name} looks at nothing: give it `look` or `look_file`")
    if not row.source.startswith("https://"):
        raise UsageError(f"the source of hazard {row.name} is {row.source!r}: give the https link of a public thread")
    HAZARDS.append(row)


def unregister(row: Row) -> None:
    """Take away a row that was registered; ValueError where it was not."""
    HAZARDS.remove(row)


def found(
    program: ExportedProgram | None,
    target: Target,
    options: LowerOptions,
    path: Path | None = None,
    images: Sequence[Tensor] = (),
) -> list[Found]:
    """The hazards of a file of `target`, in the table's order.

    `program` is what was lowered, after the rewrites; without it only the file at `path` is looked at. `images` are
    inputs of the program, few: what depends on values is looked for only where there are some.
    """
    lowered = None if program is None else Lowered(program, options, tuple(images))
    place = (target.format, target.rewrites)
    looked = ((row, row.concerns(lowered, path)) for row in HAZARDS if place in row.places)
    return [Found(row, concerns) for row, concerns in looked if concerns is not None]
