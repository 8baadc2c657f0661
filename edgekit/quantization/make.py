"""Make a plan: `quantize` for a request and into a file, `plan_of` for a program that is there already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from torch.export import ExportedProgram

from edgekit import graph
from edgekit.data.datasets import CatalogPictures, Pictures, pictures, tell_skipped
from edgekit.data.image_files import LeftOut
from edgekit.data.images import Picture
from edgekit.model.build import build, probe
from edgekit.model.embedder import Embedder, state_sha256
from edgekit.quantization.budget import weight_share
from edgekit.quantization.constants import large_constants
from edgekit.quantization.draft import Draft, searched, uniform
from edgekit.quantization.judge import Judge, Loss
from edgekit.quantization.layers import layers, static_tensors, weights
from edgekit.quantization.left import TimeLeft
from edgekit.quantization.plan import Calibration, Plan
from edgekit.quantization.schemes import AUTO, TARGETS
from edgekit.quantization.settings import QuantizeRequest, Settings
from edgekit.quantization.simulate import Simulator
from edgekit.quantization.store import encode, write_plan
from edgekit.recipe import Recipe
from edgekit.support.progress import Reporter, Silent
from edgekit.support.threads import one_thread

__all__ = ["PlanResult", "QuantizeRequest", "QuantizeResult", "plan_of", "quantize"]

_HELD_OUT = 32  # images on which the plan is tried
_JUDGED = 256  # images on which whole plans are judged
_SEED = 1  # of the catalogue: parity's photos are another one's


@dataclass(frozen=True)
class PlanResult:
    """A plan, and by target what it loses in that target's forms, and its weights' bytes over those of float32.

    `left_out` are calibration images of kinds that are not read here.
    """

    plan: Plan
    losses: Mapping[str, Loss]
    shares: Mapping[str, float]
    left_out: LeftOut


@dataclass(frozen=True)
class QuantizeResult(PlanResult):
    """A plan that was written, and where."""

    path: Path


@one_thread()
def quantize(request: QuantizeRequest, reporter: Reporter | None = None) -> QuantizeResult:
    """Make a plan for the request's model, write it to `out`/plan.json, and try it in PyTorch on held-out images.

    Raises:
        EdgeKitError: the model cannot be built, the images are too few or all equal, no plan keeps the limits, or
            `out` cannot be written.
    """
    reporter = reporter or Silent()
    embedder = build(request.recipe, reporter)
    with reporter.stage("capture the graph"):
        program = graph.checked(graph.capture(embedder, embedder.example()), graph.PREPARATION, probe(embedder)).program
    made = plan_of(request.recipe, embedder, program, request, reporter)
    return QuantizeResult(made.plan, made.losses, made.shares, made.left_out, write_plan(made.plan, request.out))


def plan_of(
    recipe: Recipe,
    embedder: Embedder,
    program: ExportedProgram,
    settings: Settings,
    reporter: Reporter,
    parts: tuple[Pictures, Pictures] | None = None,
) -> PlanResult:
    """A plan for the prepared `program` of `embedder`, tried on held-out images in each target's forms.

    `parts` are images to calibrate on, in place of the settings', and those that will judge the files.

    Raises:
        EdgeKitError: the images are too few or all equal, or no plan keeps the limits.
    """
    data: Pictures = CatalogPictures(settings.samples, embedder.spec, split="train")
    if parts is not None:
        data = parts[0]
    elif settings.images is not None:
        data = pictures(settings.images, settings.samples, embedder.spec, reporter)
    own = parts is not None or settings.images is not None
    reporter = TimeLeft(reporter, _work(program, len(data), min(len(data), _JUDGED) if own else _JUDGED, settings))
    if settings.scheme == AUTO:
        judged: Iterable[Picture] = data if own else CatalogPictures(_JUDGED, embedder.spec, seed=_SEED)
        draft = searched(program, data, list(islice(judged, _JUDGED)), settings, reporter)
    else:
        draft = uniform(program, data, settings, reporter)
    tell_skipped(data, reporter)
    calibration = Calibration(
        dataset=data.name,
        sha256=data.digest(),
        images=len(data),
        others=None if parts is None else len(parts[1]),
        observer=draft.observer if draft.tensors else None,
    )
    plan = _document(recipe, embedder, program, settings.scheme, draft.marked(), calibration)
    held_out = CatalogPictures(_HELD_OUT, embedder.spec)
    with reporter.stage(f"try the plan on {len(held_out)} held-out images"):
        losses = _losses(plan, Judge(Simulator(program, plan.tensors, plan.levels, plan.shifts), held_out))
    return PlanResult(plan, losses, {target: weight_share(program, plan, target) for target in TARGETS}, data.left_out)


def _document(
    recipe: Recipe, embedder: Embedder, program: ExportedProgram, asked: str, draft: Draft, calibration: Calibration
) -> Plan:
    """The plan that a draft is, of a model, with what stands beside it."""
    beside = encode(draft.levels, draft.shifts)
    return Plan(
        model=recipe.name,
        backbone=recipe.model.backbone,
        weights_sha256=state_sha256(embedder),
        input=embedder.spec.size,
        scheme=asked,
        calibration=calibration if draft.tensors or draft.levels else None,
        weights=hashlib.sha256(beside).hexdigest() if draft.levels or draft.shifts else None,
        constants=tuple(large_constants(program)),
        layers=tuple(draft.rows),
        tensors=dict(draft.tensors),
    ).holding(draft.levels, draft.shifts)


def _work(program: ExportedProgram, images: int, judged: int, settings: Settings) -> list[float]:
    """Of the stages that are to come, what each takes, in runs of one image; a stage that is left out is not here."""
    known = layers(program)
    tensors, weighted = len(static_tensors(program, {layer.name for layer in known})), len(weights(program))
    tries = 3.5 * _HELD_OUT
    if settings.scheme != AUTO:
        return [3.0 * images, tries]
    ranges = [4.5 * tensors] if settings.observer is None else []  # a third of the runs that it could be: most agree
    budget = [] if settings.max_size is None else [2.0 * images, 3.0 * weighted, 1.0 * judged]
    return [3.0 * images, 3.0 * judged, *ranges, 3.0 * len(known), 1.0 * weighted, 2.0 * judged, *budget, tries]


def _losses(plan: Plan, judge: Judge) -> dict[str, Loss]:
    """What each target's forms lose; targets with the same forms are run once."""
    names = [row.name for row in plan.layers]
    forms_on = {target: tuple(row.on(target) for row in plan.layers) for target in TARGETS}
    losses = {forms: judge.loss(dict(zip(names, forms, strict=True))) for forms in dict.fromkeys(forms_on.values())}
    return {target: losses[forms] for target, forms in forms_on.items()}
