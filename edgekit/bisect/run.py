"""Find the first step at which a file differs from the program that it was made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.artifact.folder import check_size, stated
from edgekit.artifact.manifest import Manifest
from edgekit.artifact.open import open_artifact
from edgekit.bisect.report import BisectReport, Step
from edgekit.errors import InputError, UsageError
from edgekit.recipe import Recipe, resolve_model
from edgekit.support.fields import Converted, OptionalPath, PathField, check_number, optional_path
from edgekit.support.progress import Reporter, Silent
from edgekit.support.threads import one_thread
from edgekit.targets import Precision, Target

if TYPE_CHECKING:
    from torch import Tensor
    from torch.export import ExportedProgram

    from edgekit.bisect.find import Match
    from edgekit.model.embedder import Embedder
    from edgekit.parity.check import Embed, Picture
    from edgekit.quantization import Plan

__all__ = ["BisectRequest", "bisect_artifact"]

_FLOATS: dict[str, Precision] = {"fp32": "fp32", "fp16": "fp16"}
_SAMPLES = 4
_LONGEST = 200  # characters of what a file calls something
_FITS = 0.4  # of a file's tensors and of its steps with weights, at least: some tensors lie inside a call


@dataclass(frozen=True, kw_only=True)
class BisectRequest:
    """Which file, of which model, and on which images: the one with the smallest cosine of `samples` is looked at."""

    artifact: PathField = Converted(Path)
    recipe: Converted[Recipe | Path | str | None, Recipe] = Converted(resolve_model)
    plan: OptionalPath = Converted(optional_path, None)  # plan.json, where the manifest's plan needs its weights
    images: OptionalPath = Converted(optional_path, None)  # None: the synthetic catalogue
    samples: int | None = None  # None: 4

    def __post_init__(self) -> None:
        """Raises UsageError where a number is none that can be meant."""
        if self.samples is not None:
            check_number("samples", self.samples, 1)


@one_thread()
def bisect_artifact(request: BisectRequest, reporter: Reporter | None = None) -> BisectReport:
    """Compare the tensors inside a published file with those of its program, and say which step errs first.

    Raises:
        UsageError: the tensors of this format cannot be had, or the plan's weights are missing.
        InputError: the file's tensors are not those of this model.
        EdgeKitError: the artifact or the model cannot be opened.
    """
    reporter = reporter or Silent()
    with reporter.stage(f"open {request.artifact.name}"):
        artifact = open_artifact(request.artifact, allow_bare=True)
    manifest = stated(request.artifact, artifact.manifest)
    values = artifact.target.values_of()
    program, embedder = _program(request, manifest, artifact.target, reporter)
    picture, cosine = _worst(request, artifact.runner.embed, embedder, reporter)
    with reporter.stage(f"compare the tensors of {artifact.path.name}"):
        from edgekit.bisect.find import allowed_in, match
        from edgekit.bisect.program import Walk

        allowed = allowed_in(manifest.precision)
        walk = Walk(program, embedder.pixels(picture.image[None]))
        inside = values(artifact.path, picture.image)
        matches, seen = match(walk, inside, allowed=allowed, channels_last=artifact.target.inside_channels_last)
        _check_kin(request, matches, seen, allowed)
        steps = [_step(one, walk.places[one.node], walk.own(one.node), allowed) for one in matches]
    return BisectReport(
        model=request.recipe.name,
        format=artifact.target.format,
        precision=manifest.precision,
        image=picture.name,
        cosine=cosine,
        allowed=allowed,
        seen=seen,
        steps=steps,
    )


def _program(
    request: BisectRequest, manifest: Manifest, target: Target, reporter: Reporter
) -> tuple[ExportedProgram, Embedder]:
    """The program that the file was lowered from, made anew, and the original."""
    from edgekit.pipeline.lane import Lane
    from edgekit.pipeline.original import capture
    from edgekit.pipeline.request import ExportRequest

    asked = ExportRequest(
        recipe=request.recipe,
        targets=[target],
        precision=_FLOATS.get(manifest.precision),
        plan=_plan(request, manifest),
        input_dtype=manifest.input.dtype if manifest.input.dtype == "uint8" else "float32",
        verify=False,
    )
    original = capture(asked, reporter)
    check_size(request.artifact, manifest, request.recipe.name, original.embedder.spec.size)
    return Lane(asked, target, original, None, reporter).rewritten(asked.plan).program, original.embedder


def _plan(request: BisectRequest, manifest: Manifest) -> Plan | None:
    """The plan that the file follows: the manifest's own, or the file that has its weights beside it."""
    from edgekit.quantization import Plan, read_plan

    if manifest.quantization is None:
        return None
    if request.plan is not None:
        return read_plan(request.plan)
    plan = Plan.model_validate(manifest.quantization)
    if plan.weights is not None:
        raise UsageError(
            f"{request.artifact}: its plan has weights beside it, which no manifest holds; give the plan by `plan`",
            field="plan",
        )
    return plan


def _worst(
    request: BisectRequest, embed: Embed, embedder: Embedder, reporter: Reporter
) -> tuple[Picture, float | None]:
    """The image on which the file is farthest from the original, and its cosine; None where that is no number."""
    from edgekit.data.datasets import pictures
    from edgekit.metrics.retrieval import cosine

    samples = request.samples or _SAMPLES
    data = pictures(request.images, samples, embedder.spec, reporter)
    found: list[tuple[float, Picture]] = []
    for picture in islice(data, samples):
        image = picture.image[None]
        given, due = np.nan_to_num(embed(image)), embedder.embed(image)
        if given.shape != due.shape:
            raise InputError(
                f"{request.artifact}: its embeddings are not those of {request.recipe.name}: {given.shape[1]} "
                f"numbers in place of {due.shape[1]}; give the model and the weights that it was exported from"
            )
        value = float(cosine(given, due)[0])
        found.append((-math.inf if math.isnan(value) else value, picture))
    if not found:
        raise InputError("no image to compare; give a folder with readable images")
    least, worst = min(found, key=lambda pair: pair[0])
    return worst, None if math.isinf(least) else least


def _check_kin(request: BisectRequest, matches: list[Match], seen: int, allowed: float) -> None:
    """InputError where the file is of another model, or of other weights: steps without weights then still fit."""
    from edgekit.bisect.likely import weighted

    heavy = [one for one in matches if weighted(one)]
    for due, found, what in ((seen, matches, "tensors"), (len(heavy), heavy, "steps with weights")):
        fits = sum(one.error <= allowed for one in found)
        if fits < _FITS * due:
            raise InputError(
                f"{request.artifact}: its {what} are not those of {request.recipe.name}: {fits} of {due} fit; give the "
                "model and the weights that it was exported from"
            )


def _step(match: Match, depth: int, own: Tensor, allowed: float) -> Step:
    """A matched tensor as the report has it."""
    from edgekit.bisect.likely import guilty, likely
    from edgekit.graph.edit import module_path, op_name

    jump = match.error > allowed
    node = guilty(match) if jump else match.node
    apart = float((match.tensor - own).abs().max())
    product = (match.tensor.flatten() @ own.flatten()) / (match.tensor.norm() * own.norm())
    return Step(
        depth=depth,
        module=module_path(node).removeprefix("backbone.") or "the model",
        op=op_name(node),
        tensor=match.value.name[:_LONGEST],
        kind=match.value.kind[:_LONGEST],
        shape=list(own.shape),
        cosine=_number(float(product)),
        max_error=_number(apart),
        own_error=_number(match.error),
        jump=jump,
        likely=likely(match) if jump else None,
    )


def _number(value: float) -> float | None:
    return float(f"{value:.7g}") if math.isfinite(value) else None
