"""The hazards of an artifact, as its manifest has them."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.artifact.manifest import Hazard
from edgekit.targets.hazards import Found

__all__ = ["hazards"]


def hazards(found: Sequence[Found]) -> list[Hazard]:
    """What was found, for the manifest."""
    return [
        Hazard(
            name=item.row.name,
            where=item.row.where,
            concerns=item.concerns,
            effect=item.row.effect,
            remedy=item.row.remedy,
            options=dict(item.row.options),
            runtime=item.row.runtime,
            compute_unit=item.row.compute_unit,
            source=item.row.source,
        )
        for item in found
    ]
