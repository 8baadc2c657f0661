"""What a runner is fed and what it must answer: photos of the catalogue, and the file's own embeddings of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgekit.bench.constants import CONSTANTS
from edgekit.data.datasets import CatalogPictures

if TYPE_CHECKING:
    from edgekit.artifact.open import Artifact

__all__ = ["TOLERANCE", "Golden", "golden_of"]

TOLERANCE: float = CONSTANTS["min_cosine"]  # room for another processor's rounding of integers, none for another answer


@dataclass(frozen=True, eq=False)
class Golden:
    """`images` uint8 [N,H,W,3], `embeddings` float32 [N,D] as this machine's runtime gives them."""

    images: np.ndarray
    embeddings: np.ndarray


def golden_of(artifact: Artifact, count: int) -> Golden:
    """`count` catalogue photos, and what `artifact` makes of them on this machine."""
    images = np.stack([picture.image for picture in CatalogPictures(count, artifact.spec)])
    return Golden(images, artifact.runner.embed(images))
