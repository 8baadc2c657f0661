"""The plain bundle: every artifact and its golden vectors in folders, for any build system."""

from __future__ import annotations

from pathlib import Path

from edgekit.release.kinds import Checked, Material, Placed

__all__ = ["place", "write"]


def write(material: Material, folder: Path, documents: Path) -> list[Placed]:
    """Copy each artifact to artifacts/NAME and its golden vectors to golden/NAME."""
    return [place(artifact, folder) for artifact in material.artifacts]


def place(artifact: Checked, folder: Path) -> Placed:
    """Copy an artifact and its golden vectors below `folder`."""
    placed = Placed(artifact, f"artifacts/{artifact.name}", f"golden/{artifact.name}")
    artifact.copy(folder / placed.folder, folder / placed.golden)
    return placed
