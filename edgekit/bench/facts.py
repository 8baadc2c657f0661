"""An artifact as a result names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.bench import schema as s
from edgekit.support.files import sha256_tree, size_of

if TYPE_CHECKING:
    from edgekit.artifact.open import Artifact

__all__ = ["model_of"]


def model_of(artifact: Artifact) -> s.Model:
    """Its name, format, SHA-256, size and input; what its manifest says of it where it has one."""
    path, manifest = artifact.path, artifact.manifest
    parity = None if manifest is None else manifest.parity.min_cosine
    return s.Model(
        name=path.stem[:500],
        format=artifact.target.format,
        sha256=sha256_tree(path),
        bytes=size_of(path),
        precision=None if manifest is None else manifest.precision,
        parity_min_cosine=None if parity is None else min(1.0, parity),
        input=artifact.runner.input_size,
    )
