"""Compare a written file with the original model over images, holding one batch of pixels at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import numpy as np

from edgekit.data.image_files import LeftOut
from edgekit.errors import InputError, ModelError, ParityError
from edgekit.metrics import retrieval as metrics
from edgekit.parity.report import Dataset, ImageCosine, LeftOutImages, ParityReport, RecallFigures, Retrieval, Verdict
from edgekit.recipe.gates import Gates
from edgekit.targets import Runner

__all__ = ["Embed", "Picture", "Progress", "Reference", "check", "compare", "embed_original"]

Embed = Callable[[np.ndarray], np.ndarray]  # uint8 [N,H,W,3] -> float32 [N,D]
Progress = Callable[[int, int], None]  # images done, images in all (0 where unknown)

_NAMED = 3
_ONE = " (one query: give more images, of which half a point is more than that)"
_FEW = 16  # images of two or three things lie on a line in the best of models


class Picture(Protocol):
    """An image ready for the model: uint8 [H,W,3] RGB; images with equal labels show the same thing."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str | None: ...
    @property
    def image(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Reference:
    """The original model's embeddings (float32 [N,D]) of N images, computed once and compared with many files."""

    names: Sequence[str]
    labels: Sequence[str | None]
    embeddings: np.ndarray
    skipped: Sequence[str] = ()  # names of images that could not be read
    left_out: LeftOut = field(default_factory=LeftOut)  # images of kinds that are not read here


def embed_original(
    original: Embed, pictures: Iterable[Picture], *, progress: Progress | None = None, batch: int = 8
) -> Reference:
    """Embed every picture with the original. ModelError where it gives NaN or infinity, InputError without pictures."""
    names, labels, rows = _embed(original, pictures, progress, batch)
    skipped = tuple(name for name, _ in getattr(pictures, "skipped", ()))
    return Reference(names, labels, rows, skipped, getattr(pictures, "left_out", LeftOut()))


def check(
    runner: Runner,
    reference: Reference,
    pictures: Iterable[Picture],
    gates: Gates,
    *,
    dataset: str,
    digest: str,
    progress: Progress | None = None,
    batch: int = 8,
) -> ParityReport:
    """Run the file over `pictures` and judge it against what the original made of the same ones in the same order.

    Raises ParityError where the embeddings' shapes differ, InputError for other pictures, or of another size than the
    runner's; a missed gate raises nothing, see `ParityReport.raise_for_verdict`.
    """
    names, _, artifact = _embed(runner.embed, pictures, progress, batch, runner)
    if names != list(reference.names):
        raise InputError(f"the images of {dataset} changed between two readings; check that no one writes to it")
    return compare(
        artifact, reference, gates, dataset=dataset, digest=digest, runtime=runner.runtime, stand_in=runner.reference
    )


def compare(
    artifact: np.ndarray, reference: Reference, gates: Gates, *, dataset: str, digest: str, runtime: str, stand_in: bool
) -> ParityReport:
    """Judge a file's embeddings (float32 [N,D]) against the original's; ParityError where the shapes differ."""
    original = reference.embeddings
    _require_same_shape(artifact, original)
    finite = np.isfinite(artifact).all(axis=1)
    spread = metrics.spread(original)
    cosines = np.where(finite, metrics.cosine(np.where(finite[:, None], artifact, 0), original), np.nan)
    figures: dict = {
        "runtime": runtime,
        "reference": stand_in,
        "dataset": _dataset(dataset, digest, reference),
        "gates": gates,
        "dim": original.shape[1],
        "spread": _significant(spread.distance),
        "dimensions": _significant(spread.dimensions),
        "cosines": [
            ImageCosine(name=name, cosine=round(float(value), 7) if np.isfinite(value) else None)
            for name, value in zip(reference.names, cosines, strict=True)
        ],
    }
    if not finite.all():
        first = reference.names[int(np.argmin(finite))]
        reason = f"{int(np.sum(~finite))} of {len(finite)} embeddings hold NaN or infinity, the first is {first}'s"
        return ParityReport(verdict="fail", reasons=[reason], worst_image=first, **figures)

    worst = int(np.argmin(cosines))
    norm_error = metrics.norm_error(artifact)
    figures |= {
        "mean_cosine": round(float(cosines.mean()), 7),
        "min_cosine": round(float(cosines[worst]), 7),
        "worst_image": reference.names[worst],
        "max_abs_error": _significant(metrics.max_abs_error(artifact, original)),
        "max_norm_error": _significant(norm_error),
    }
    if (neighbours := min(10, (len(original) - 1) // 2)) > 0:
        figures["neighbours"] = neighbours
        figures["neighbour_overlap"] = round(metrics.neighbour_overlap(original, artifact, neighbours), 4)
    retrieval = figures["retrieval"] = _retrieval(artifact, reference)
    flat = _flatness(original, spread, gates, retrieval)
    missed = _missed_rows(float(cosines[worst]), reference.names[worst], norm_error, gates)
    # Where the original hardly varies, who is whose neighbour is rounding noise: recall is shown, not judged.
    missed += [] if flat else _missed_recall(retrieval, gates)
    verdict: Verdict = "fail" if missed else "inconclusive" if flat else "pass"
    return ParityReport(verdict=verdict, reasons=missed + flat, **figures)


def _require_same_shape(artifact: np.ndarray, original: np.ndarray) -> None:
    if artifact.ndim != 2 or len(artifact) != len(original):
        raise ParityError(
            f"the file gave {list(artifact.shape)} values for {len(original)} images; one row per image is needed"
        )
    if artifact.shape[1] != original.shape[1]:
        raise ParityError(
            f"embedding has {artifact.shape[1]} values, the original {original.shape[1]}; give the model that it was "
            "exported from"
        )


def _dataset(name: str, digest: str, reference: Reference) -> Dataset:
    left_out = reference.left_out.facts()
    return Dataset(
        name=name,
        sha256=digest,
        images=len(reference.embeddings),
        skipped=len(reference.skipped),
        skipped_first=list(reference.skipped[:_NAMED]),
        left_out=None if left_out is None else LeftOutImages.model_validate(left_out),
    )


def _missed_rows(min_cosine: float, worst: str, norm_error: float, gates: Gates) -> list[str]:
    """The gates of single embeddings that were missed, with figure and limit; a NaN misses its gate."""
    missed = []
    if not min_cosine >= gates.min_cosine:
        missed.append(f"min cosine {min_cosine:.7f} ({worst}) is below {gates.min_cosine:g}")
    if not norm_error <= gates.max_norm_error:
        missed.append(f"an embedding's length is {norm_error:.2g} off 1, more than {gates.max_norm_error:g}")
    return missed


def _missed_recall(retrieval: Retrieval, gates: Gates) -> list[str]:
    return [
        f"{name} recall@10 drops {side.drop:.2f} points over {retrieval.queries} queries, "
        f"more than {gates.max_recall_drop:g}" + (_ONE if side.drop * retrieval.queries < 150 else "")
        for name, side in (("artifact", retrieval.artifact), ("mixed", retrieval.mixed))
        if side is not None and side.drop is not None and side.drop > gates.max_recall_drop
    ]


def _embed(
    embed: Embed, pictures: Iterable[Picture], progress: Progress | None, batch: int, runner: Runner | None = None
) -> tuple[list[str], list[str | None], np.ndarray]:
    """One pass over the pictures through `embed`, of `runner` or else of the original: names, labels, rows [N,D]."""
    names: list[str] = []
    labels: list[str | None] = []
    parts: list[np.ndarray] = []
    total = len(pictures) if isinstance(pictures, Sized) else 0
    unread = iter(pictures)
    while group := list(islice(unread, batch)):
        if runner:
            _check_sizes(group, runner)
        rows = np.asarray(embed(np.stack([picture.image for picture in group])), dtype=np.float32)
        if rows.ndim != 2 or len(rows) != len(group):
            whose, error = ("the file", ParityError) if runner else ("the original", ModelError)
            raise error(f"{whose} gave shape {list(rows.shape)} for {len(group)} images; [N,D] is due")
        if not runner and not np.isfinite(rows).all():
            bad = group[int(np.argmin(np.isfinite(rows).all(axis=1)))].name
            raise ModelError(f"the original's embedding of {bad} holds NaN or infinity; check its weights")
        parts.append(rows)
        names += [picture.name for picture in group]
        labels += [picture.label for picture in group]
        if progress:
            progress(len(names), total)
    if not names:
        raise InputError("no image to compare; give a folder with readable images")
    return names, labels, np.concatenate(parts)


def _check_sizes(group: list[Picture], runner: Runner) -> None:
    height, width = runner.input_size
    for picture in group:
        if picture.image.shape != (height, width, 3) or picture.image.dtype.name != "uint8":
            raise InputError(
                f"{picture.name}: {picture.image.dtype.name} {list(picture.image.shape)}, "
                f"the file takes uint8 [{height}, {width}, 3]; preprocess it with the manifest's sizes"
            )


def _flatness(original: np.ndarray, spread: metrics.Spread, gates: Gates, retrieval: Retrieval) -> list[str]:
    """Why the gates would say nothing about the original's embeddings; empty where they do."""
    count = len(original)
    if count < 2:
        return ["one image shows no variation; give at least two"]
    least, seen = gates.min_spread, 2 * (1 - gates.min_cosine) * count / (count - 1)
    # A file that answers the mean embedding to every image scores a mean cosine of about 1 - spread / 2 and finds
    # nothing. One of the two gates must see that; recall@10 cannot where all that there is to find is in the first ten.
    if count <= 11 or 100 * retrieval.original.at_10 <= gates.max_recall_drop:
        least = max(least, seen)
    if spread.distance < least:
        return [f"the original's embeddings hardly vary (spread {spread.distance:.2g}, at least {least:.2g} is needed)"]
    # A file that keeps one number of the image finds neighbours; what it loses must be enough for the cosine gate.
    if count >= _FEW and spread.dimensions < gates.min_dimensions and metrics.off_curve(original) < seen:
        return [
            f"the original's embeddings vary along one line (dimensions {spread.dimensions:.2f}, "
            f"at least {gates.min_dimensions:g} are needed)"
        ]
    return []


def _retrieval(artifact: np.ndarray, reference: Reference) -> Retrieval:
    original, count = reference.embeddings, len(reference.names)
    known = [label for label in reference.labels if label is not None]
    listing = len(set(known)) < len(known)
    # An image without a label stays in the gallery and is relevant to none; the index cannot equal a "="-led label.
    labels = [
        f"={label}" if listing and label is not None else str(index) for index, label in enumerate(reference.labels)
    ]
    base = metrics.recall(original, original, labels, labels, exclude_self=listing)
    own = metrics.recall(artifact, artifact, labels, labels, exclude_self=True) if listing else None
    mixed = metrics.recall(artifact, original, labels, labels, exclude_self=listing)
    return Retrieval(
        task="listing" if listing else "self",
        queries=base.queries,
        gallery=count - 1 if listing else count,
        original=_figures(base),
        artifact=_figures(own, base) if own else None,
        mixed=_figures(mixed, base),
    )


def _figures(side: metrics.Recall, base: metrics.Recall | None = None) -> RecallFigures:
    return RecallFigures(
        at_1=round(side.at[1], 4),
        at_1_error=round(metrics.standard_error(side.at[1], side.queries), 4),
        at_10=round(side.at[10], 4),
        at_10_error=round(metrics.standard_error(side.at[10], side.queries), 4),
        drop=round(100 * (base.at[10] - side.at[10]), 4) if base else None,
    )


def _significant(value: float) -> float:
    return float(f"{value:.4g}")
