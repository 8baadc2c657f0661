"""What is measured: an artifact as a result names it, photos of the catalogue, and its own embeddings of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from edgekit.artifact.open import Artifact
from edgekit.bench.constants import CONSTANTS
from edgekit.bench.schema import Model
from edgekit.data.datasets import CatalogPictures
from edgekit.support.files import sha256_tree, size_of

__all__ = ["TOLERANCE", "Golden", "Pair", "golden_of", "model_of"]

TOLERANCE: float = CONSTANTS["min_cosine"]  # room for another processor's rounding of integers, none for another answer


class Pair(Protocol):
    """Images and the embeddings that are due, wherever they are kept."""

    @property
    def sizes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(N, height, width, 3) of the images and (N, dim) of the embeddings."""
        ...

    def write(self, images: Path, embeddings: Path) -> None:
        """Put both there for a device."""
        ...

    def opened(self) -> Golden:
        """Both as arrays, which are read where they are touched; there are none of photos that are not decoded."""
        ...


@dataclass(frozen=True, eq=False)
class Golden:
    """`images` uint8 [N,H,W,3], `embeddings` float32 [N,D] as this machine's runtime gives them."""

    images: np.ndarray
    embeddings: np.ndarray

    @property
    def sizes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Their shapes."""
        return self.images.shape, self.embeddings.shape

    def opened(self) -> Golden:
        """They are arrays."""
        return self

    def write(self, images: Path, embeddings: Path) -> None:
        """Write the values as they are, row by row, little-endian."""
        images.write_bytes(np.ascontiguousarray(self.images).tobytes())
        embeddings.write_bytes(np.ascontiguousarray(self.embeddings, "<f4").tobytes())


def golden_of(artifact: Artifact, count: int) -> Golden:
    """`count` catalogue photos, and what `artifact` makes of them on this machine."""
    images = np.stack([picture.image for picture in CatalogPictures(count, artifact.spec)])
    return Golden(images, artifact.runner.embed(images))


def model_of(artifact: Artifact) -> Model:
    """Its name, format, SHA-256, size and input; what its manifest says of it where it has one."""
    path, manifest = artifact.path, artifact.manifest
    parity = None if manifest is None else manifest.parity.min_cosine
    return Model(
        name=path.stem[:500],
        format=artifact.target.format,
        sha256=sha256_tree(path),
        bytes=size_of(path),
        precision=None if manifest is None else manifest.precision,
        parity_min_cosine=None if parity is None else min(1.0, parity),
        input=artifact.runner.input_size,
    )
