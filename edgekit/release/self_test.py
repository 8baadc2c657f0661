"""The self-test of a bundle: each artifact, with a runtime of this machine, against its golden vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from edgekit.bench import preprocessing
from edgekit.bench.golden import TOLERANCE
from edgekit.errors import EdgeKitError, InputError, IntegrityError, MissingDependencyError
from edgekit.release.bundle import BundledArtifact
from edgekit.release.containers import Place
from edgekit.release.reasons import Refused
from edgekit.support.progress import Reporter
from edgekit.support.text import shown

__all__ = ["NO_GOLDEN", "NO_RUNTIME", "PASSED", "self_test"]

PASSED: Final = "passed"
NO_RUNTIME: Final = "no runtime here"
NO_GOLDEN: Final = "no golden vectors"


def self_test(found: Sequence[Place], reporter: Reporter) -> list[str]:
    """What came of each artifact: a sentence that begins with one of this module's words.

    Only after signature and hashes hold: this opens models.

    Raises:
        Refused: self-test-failed, where an embedding is not the one that the golden vectors state.
    """
    return [_one(place.root, place.artifact, reporter) for place in found]


def _one(folder: Path, artifact: BundledArtifact, reporter: Reporter) -> str:
    from edgekit.artifact.open import open_artifact
    from edgekit.metrics.retrieval import cosine

    if artifact.golden is None:
        return NO_GOLDEN
    place = folder / artifact.folder
    with reporter.stage(f"self-test of {artifact.folder}"):
        try:
            inputs, due = preprocessing.vectors(folder / artifact.golden)
            opened = open_artifact(place)
        except MissingDependencyError as error:
            return f"{NO_RUNTIME} ({shown(str(error), 120)})"
        except (InputError, IntegrityError) as error:
            raise Refused("self-test-failed", place, str(error)) from error
        try:
            given = opened.runner.embed(inputs)
        except EdgeKitError as error:
            raise Refused("self-test-failed", place, str(error)) from error
    if given.shape != due.shape or not np.isfinite(given).all():
        raise Refused("self-test-failed", place, "the embeddings have another shape, or are no numbers")
    worst = float(cosine(given, due).min())
    if not worst >= TOLERANCE:
        raise Refused("self-test-failed", place, f"cosine {worst:.6f}, below {TOLERANCE:g}")
    return f"{PASSED}, cosine {worst:.6f}"
