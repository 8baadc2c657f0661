"""What a file's right answers depend on outside of it: known faults of runtimes and machines, found in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.artifact.manifest import Hazard

__all__ = ["HAZARDS", "Row", "hazards"]


@dataclass(frozen=True)
class Row:
    """One known fault. `look` says of a file in `format` what of it the fault concerns; None where nothing."""

    name: str
    format: str
    where: str
    effect: str
    remedy: str
    look: Callable[[Path], str | None]
    options: Mapping[str, str] = field(default_factory=dict)  # of the runtime's session, that avoid it


def hazards(path: Path, format: str) -> list[Hazard]:
    """The hazards of an artifact, for its manifest."""
    concerned = ((row, row.look(path)) for row in HAZARDS if row.format == format)
    return [
        Hazard(
            name=row.name,
            where=row.where,
            concerns=concerns,
            effect=row.effect,
            remedy=row.remedy,
            options=dict(row.options),
        )
        for row, concerns in concerned
        if concerns is not None
    ]


def _products(path: Path) -> str | None:
    from edgekit.targets.onnx.saturation import exposed_in

    count = len(exposed_in(path))
    return f"{count} product{'s' * (count > 1)} of 8-bit integers" if count else None


HAZARDS = (
    Row(
        "int8-saturation",
        "onnx",
        "ONNX Runtime on x86 CPUs without VNNI",
        "sums of two products are cut off at 16 bits: other embeddings, and no error",
        "set the session's option there; with VNNI it is not needed and costs time, elsewhere it does nothing",
        _products,
        {"session.x64quantprecision": "1"},
    ),
)
