"""Golden vectors of each artifact, for the self-test of its bundle: photos of the synthetic catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgekit.artifact.manifest import Manifest
from edgekit.bench import preprocessing
from edgekit.data.catalog import Catalog
from edgekit.support.progress import Reporter

__all__ = ["PHOTOS", "make_golden"]

PHOTOS: Final = 2
_ORIENTATIONS: Final = (1, 6)  # upright, and as a phone's camera stores an upright photo: 8 files, which an app carries
_LARGER: Final = 1.25  # than the input, so that scaling has something to do


def make_golden(artifact: Path, manifest: Manifest, out: Path, aside: Path, reporter: Reporter) -> Path:
    """Write a folder of edgekit.golden/1 for an artifact; `aside` is for the photos meanwhile.

    What the artifact makes of the photos is what this machine's runtime gives: another processor may round the last
    bits of golden.bin otherwise.

    Raises:
        EdgeKitError: the artifact cannot be opened.
    """
    from PIL import Image

    size = round(max(manifest.preprocessing.size) * _LARGER)
    photos = []
    for index, photo in enumerate(Catalog(1, PHOTOS, size=size)[at] for at in range(PHOTOS)):
        path = aside / f"{size}-{index}.png"
        Image.fromarray(photo.image).save(path)
        photos.append(path)
    preprocessing.make(artifact, photos, out, reporter, orientations=_ORIENTATIONS)
    return out
