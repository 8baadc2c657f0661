"""What two machines have measured of an artifact: the same, but for the rounding of their processors?"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgekit.artifact.manifest import FILENAME as MANIFEST
from edgekit.bench import preprocessing
from edgekit.errors import EdgeKitError
from edgekit.parity.report import FILENAME as PARITY
from edgekit.support.files import list_files, read_json, sha256_file

__all__ = ["ROUNDING", "artifacts_apart", "golden_apart"]

ROUNDING: Final = 1e-4  # of a cosine or of a value of an embedding: float32 sums in another order, far below any gate
_WORST: Final = "worst_image"
_GOLDEN: Final = preprocessing.FILENAME


def artifacts_apart(ours: Path, theirs: Path) -> float | None:
    """How far the figures of parity in two exports' folders are apart at most; 0 where every byte is the same.

    None where anything else differs, or a figure by more than `ROUNDING`.
    """
    names = list_files(ours)
    if names != list_files(theirs):
        return None
    measured = {MANIFEST, PARITY}
    if any(sha256_file(ours / name) != sha256_file(theirs / name) for name in names if name not in measured):
        return None
    apart = 0.0
    for name in sorted(measured.intersection(names)):
        left, right = (_without_what_follows(read_json(folder / name)) for folder in (ours, theirs))
        apart = max(apart, _apart(left, right))
    return apart if apart <= ROUNDING else None


def golden_apart(ours: Path, theirs: Path) -> float | None:
    """How far the embeddings of two folders of golden vectors are apart at most; None as for `artifacts_apart`."""
    try:
        (pixels, embeddings), (other_pixels, other_embeddings) = (preprocessing.vectors(one) for one in (ours, theirs))
        left, right = (preprocessing.read(one).model_dump(exclude={"embeddings_sha256"}) for one in (ours, theirs))
    except EdgeKitError:
        return None
    if left != right or not np.array_equal(pixels, other_pixels):
        return None
    apart = float(np.abs(embeddings - other_embeddings).max())
    return apart if apart <= ROUNDING else None


def _without_what_follows(content: Any) -> Any:
    """A manifest without the size and the hash of parity.json and what was recorded later, and parity.json without the
    name of the worst image."""
    if isinstance(content, dict) and _WORST in content:
        return {key: value for key, value in content.items() if key != _WORST}
    if isinstance(content, dict) and isinstance(content.get("files"), list):
        kept = [entry for entry in content["files"] if not (isinstance(entry, dict) and entry.get("path") == PARITY)]
        return content | {"files": kept, "runtime": None}
    return content


def _apart(left: Any, right: Any) -> float:
    """The largest difference of two numbers at the same place of two documents; infinite where else they differ."""
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        return max((_apart(left[key], right[key]) for key in left), default=0.0)
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return max(map(_apart, left, right), default=0.0)
    if isinstance(left, float) and isinstance(right, float):
        return abs(left - right)
    return 0.0 if type(left) is type(right) and left == right else math.inf
