"""The plain bundle: every artifact and its golden vectors in folders, for any build system."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgekit.release.kinds import Checked, Material, Placed

__all__ = ["place", "write"]


def write(material: Material, folder: Path, documents: Path) -> list[Placed]:
    """Copy each artifact to artifacts/NAME and its golden vectors to golden/NAME."""
    return [place(artifact, folder) for artifact in material.artifacts]


def place(artifact: Checked, folder: Path) -> Placed:
    """Copy what the manifest lists, the manifest, and the golden vectors, below `folder`; nothing that lies beside."""
    placed = Placed(artifact, f"artifacts/{artifact.name}", f"golden/{artifact.name}")
    for name in ["manifest.json", *(entry.path for entry in artifact.manifest.files)]:
        target = folder / placed.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(artifact.folder / name, target)
    shutil.copytree(artifact.golden, folder / placed.golden, copy_function=shutil.copyfile)
    return placed
