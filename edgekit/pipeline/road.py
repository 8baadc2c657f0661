"""Travel the road once for all targets of a request."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from edgekit.data.datasets import SAMPLES, Pictures, a_few, pictures
from edgekit.pipeline.fitting import fitting
from edgekit.pipeline.lane import Lane
from edgekit.pipeline.original import Original, capture
from edgekit.pipeline.request import ExportRequest, ExportResult
from edgekit.pipeline.tidy import tidy
from edgekit.support.drafts import sweep
from edgekit.support.progress import Reporter, Silent
from edgekit.support.threads import one_thread

if TYPE_CHECKING:
    from edgekit.parity.judge import Judge
    from edgekit.quantization import Plan

__all__ = ["export"]

_LOOKED_AT = 16  # parity images whose tensors are held against the plan's ranges


@tidy()
@one_thread()
def export(request: ExportRequest, reporter: Reporter | None = None) -> ExportResult:
    """Travel the road once for all targets; each artifact that passes parity is published, the others are not.

    Raises:
        EdgeKitError: something before the targets failed. What fails within a target is in its `Export.error`.
    """
    reporter = reporter or Silent()
    request = fitting(request, reporter)
    for left in sweep(request.out):
        reporter.note(f"removed {left}, which an export that was killed had left")
    model = capture(request, reporter)
    embedder = model.embedder
    if request.plan is not None:
        from edgekit.model.embedder import state_sha256

        request.plan.check_fits(state_sha256(embedder), embedder.spec.size)
    data = pictures(request.images, request.samples or SAMPLES, embedder.spec, reporter)
    if request.precision == "int8":
        plan, data = _plan(request, model, data, reporter)
        request = replace(request, plan=plan, precision=None)
    if request.verify and request.plan is not None:
        _warn_of_domain_shift(request.plan, model, data, reporter)
    judges = _judges(request, model, data, reporter)
    judged = ((row, judges.get(row.images_for(request.samples))) for row in request.targets)
    lanes = (Lane(request, row, model, judge, reporter) for row, judge in judged)
    return ExportResult([lane.travel() for lane in lanes])


def _judges(request: ExportRequest, model: Original, data: Pictures, reporter: Reporter) -> dict[int | None, Judge]:
    """Who judges files, by the number of images that their runtime has time for. Empty where nothing is verified."""
    from edgekit.parity.judge import judge_of

    judges: dict[int | None, Judge] = {}
    for most in {row.images_for(request.samples): None for row in request.targets if request.verify}:
        few = a_few(data, most)
        same = next((judge for judge in judges.values() if judge.data is few), None)
        judges[most] = same or judge_of(model.embedder, few, reporter)
    return judges


def _plan(request: ExportRequest, model: Original, data: Pictures, reporter: Reporter) -> tuple[Plan, Pictures]:
    """The plan `auto` that keeps the recipe's own gates, and the images to judge the files on.

    It is calibrated on the catalogue, or where `data` are a folder, on a part of it that does not judge.
    """
    from edgekit import quantization
    from edgekit.data.images import Folder
    from edgekit.quantization.halves import halves

    gates = request.recipe.gates.int8
    settings = quantization.Settings(
        min_cosine=gates.min_cosine, max_recall_drop=min(gates.max_recall_drop, quantization.Settings.max_recall_drop)
    )
    parts = halves(data) if isinstance(data, Folder) else None
    if parts is not None:
        data = parts[1]
    prepared = model.prepared().program
    return quantization.plan_of(request.recipe, model.embedder, prepared, settings, reporter, parts).plan, data


def _warn_of_domain_shift(plan: Plan, model: Original, data: Pictures, reporter: Reporter) -> None:
    from edgekit.quantization.calibrate import domain_shift

    few = [picture.image for picture in islice(data, _LOOKED_AT)]
    with reporter.stage(f"compare {len(few)} images with the plan's ranges"):
        warning = domain_shift(model.prepared().program, plan, few)
    if warning is not None:
        reporter.note(warning)
