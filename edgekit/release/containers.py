"""Where the artifacts of a bundle lie: in its folder, or in an archive of it (an AAR), unpacked for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.release.bundle import BUNDLE, Bundle, BundledArtifact
from edgekit.release.reasons import Refused
from edgekit.release.unpack import unpack_container
from edgekit.support.drafts import scratch

__all__ = ["Place", "places"]


@dataclass(frozen=True)
class Place:
    """An artifact, the folder that its paths are relative to, and the SHA-256 of each file there by name."""

    artifact: BundledArtifact
    root: Path
    listed: Mapping[str, str]


@contextlib.contextmanager
def places(folder: Path, bundle: Bundle) -> Iterator[list[Place]]:
    """The place of each artifact, in order; archives are gone afterwards.

    Raises:
        Refused: an archive is not there, or does not have the form that `edgekit package` writes.
    """
    listed = {entry.path: entry.sha256 for entry in bundle.files}
    sizes = {entry.path: entry.bytes for entry in bundle.files}
    containers = sorted({artifact.container for artifact in bundle.artifacts if artifact.container is not None})
    found: dict[str | None, tuple[Path, Mapping[str, str]]] = {None: (folder, listed)}
    with contextlib.ExitStack() as stack:
        for number, container in enumerate(containers):
            if container not in listed:
                raise Refused("schema", folder / BUNDLE, f"{container} is not there")
            into = stack.enter_context(scratch(sizes[container])) / str(number)
            found[container] = (into, unpack_container(folder / container, into))
        try:
            yield [Place(artifact, *found[artifact.container]) for artifact in bundle.artifacts]
        except Refused as refused:
            for name, (root, _) in found.items():
                if name is not None:
                    refused.move(root, folder / name)
            raise
