"""What the embeddings of a device say: the report of the host's parity, and what became of rows that fail it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgekit.bench.drivers.base import Outcome
from edgekit.bench.parity.parts import Part
from edgekit.data.image_files import LeftOut
from edgekit.metrics.retrieval import cosine
from edgekit.parity.check import Reference, compare
from edgekit.parity.report import ParityReport
from edgekit.recipe.gates import Gates

__all__ = ["Subject", "judged", "why_rows_differ"]

_ROUNDING = 1e-3  # of the cosine that the device computes of the same rows, in its own arithmetic


@dataclass(frozen=True)
class Subject:
    """What all devices are judged by: the images in parts, what the original makes of them, and the gates."""

    parts: Sequence[Part]
    reference: Reference
    gates: Gates
    dataset: str
    digest: str


def judged(subject: Subject, came: Sequence[Outcome]) -> ParityReport:
    """The report of the parts that came, with at least one; "fail" where one is missing or was mixed up on the way.

    Raises:
        ParityError: the embeddings have another number of values than the original's.
    """
    once: list[Outcome] = []
    for outcome in sorted(came, key=lambda outcome: (outcome.span[0], -outcome.span[1])):
        if not once or outcome.span[0] >= once[-1].span[1]:  # halves of a part that had come already are left out
            once.append(outcome)
    rows = np.concatenate([outcome.embeddings for outcome in once if outcome.embeddings is not None])
    places = np.concatenate([np.arange(*outcome.span) for outcome in once])
    reference, runtime = _of(subject.reference, places), once[0].result
    report = compare(
        rows,
        reference,
        subject.gates,
        dataset=subject.dataset,
        digest=subject.digest,
        runtime="" if runtime is None else runtime.runtime.words,
        stand_in=False,
    )
    reasons = [line for outcome in once if (line := _disagreement(outcome, subject.reference)) is not None]
    if report.verdict == "fail" and (why := why_rows_differ(rows, reference, subject.gates.min_cosine)) is not None:
        reasons.append(why)
    if (due := len(subject.reference.names)) > len(rows):
        reasons.append(f"incomplete: embeddings of {len(rows)} of {due} images came back")
    if not reasons:
        return report
    return report.model_copy(update={"verdict": "fail", "reasons": [*report.reasons, *reasons]})


def why_rows_differ(rows: np.ndarray, reference: Reference, least: float) -> str | None:
    """What is likely of rows float32 [N,D] that are not near the original's: another order, or another model."""
    finite, names = np.isfinite(rows).all(axis=1), reference.names
    if len(rows) < 2 or not finite.all() or not rows.any(axis=1).all():
        return None
    unit, due = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (rows, reference.embeddings))
    nearest = np.concatenate([np.argmax(block @ due.T, axis=1) for block in np.array_split(unit, -(-len(unit) // 256))])
    best = np.einsum("nd,nd->n", unit, due[nearest])
    moved = np.flatnonzero(nearest != np.arange(len(rows)))
    if len(moved) and best.min() >= least and len(set(nearest.tolist())) == len(rows):
        first = int(moved[0])
        return (
            f"the rows are in another order: {len(moved)} of {len(rows)} moved, that of {names[first]} is "
            f"{names[int(nearest[first])]}'s"
        )
    if best.max() < least:
        return "no row is near any image's embedding: it is another model's, or of other images"
    return None


def _of(reference: Reference, places: np.ndarray) -> Reference:
    """The reference of these images alone."""
    if len(places) == len(reference.names):
        return reference
    names, labels = ([side[place] for place in places] for side in (reference.names, reference.labels))
    return replace(reference, names=names, labels=labels, embeddings=reference.embeddings[places], left_out=LeftOut())


def _disagreement(outcome: Outcome, reference: Reference) -> str | None:
    """What the device computed of its rows itself, where that is another figure than the rows give that came."""
    due = reference.embeddings[slice(*outcome.span)]
    if outcome.result is None or outcome.embeddings is None or outcome.embeddings.shape != due.shape:
        return None
    own = outcome.result.check.min_cosine
    if own is None or not np.isfinite(outcome.embeddings).all():
        return None
    here = float(cosine(outcome.embeddings, due).min())
    if abs(own - here) <= _ROUNDING:
        return None
    return f"the device found min cosine {own:.6f} where its rows give {here:.6f}: they were mixed up on the way"
