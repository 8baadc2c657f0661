"""Make a plan: which layer gets which scheme, and what range each static tensor has."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import InputError
from edgekit.quantization.layers import layers, pixels, static_tensors, tied, untouched, weights
from edgekit.quantization.left import TimeLeft
from edgekit.quantization.plan import (
    EIGHT_BITS,
    FEW_BITS,
    TARGETS,
    Asked,
    Calibration,
    LayerPlan,
    Plan,
    Scheme,
    TensorPlan,
)
from edgekit.quantization.ranges import plan_tensors, tie
from edgekit.quantization.rows import searched_row, uniform_row
from edgekit.quantization.search import weights_only
from edgekit.quantization.settings import Settings
from edgekit.quantization.shifts import averaged, shifts
from edgekit.recipe import Recipe, resolve_model
from edgekit.support.fields import Converted, PathField
from edgekit.support.progress import Silent
from edgekit.support.threads import one_thread

if TYPE_CHECKING:
    import numpy as np
    from torch.export import ExportedProgram

    from edgekit.data.datasets import Pictures
    from edgekit.data.image_files import LeftOut
    from edgekit.data.images import Picture
    from edgekit.graph.levels import Levels
    from edgekit.model.embedder import Embedder
    from edgekit.quantization.calibrate import Histogram
    from edgekit.quantization.judge import Judge, Loss
    from edgekit.support.progress import Reporter

__all__ = ["Made", "QuantizeRequest", "QuantizeResult", "plan_of", "quantize"]

_FEWEST = 16  # calibration images
_TRIED = 32  # held-out images
_JUDGED = 256  # images on which whole plans are judged
_SEED = 1  # of the catalogue: parity's photos are another one's
_OBSERVER = "mse"


@dataclass(frozen=True, kw_only=True)
class QuantizeRequest(Settings):
    """What to quantize, and where the plan goes."""

    recipe: Converted[Recipe | str | None, Recipe] = Converted(resolve_model)
    out: PathField = Converted(Path)


@dataclass(frozen=True)
class Made:
    """A plan, and by target what it loses in that target's forms, and its weights' bytes over those of float32.

    `left_out` are calibration images of kinds that are not read here.
    """

    plan: Plan
    losses: Mapping[str, Loss]
    shares: Mapping[str, float]
    left_out: LeftOut


@dataclass(frozen=True)
class QuantizeResult(Made):
    """A plan that was written, and where."""

    path: Path


@dataclass(frozen=True)
class _Draft:
    """What was decided: the layers, the ranges of static tensors and what chose them, the weights on few levels, and
    what is added to the biases of layers in 8 bits.
    """

    rows: Sequence[LayerPlan]
    tensors: Mapping[str, TensorPlan]
    observer: str | None
    levels: Mapping[str, Levels]
    shifts: Mapping[str, np.ndarray]

    def marked(self) -> _Draft:
        """The same, with the shifts that some target needs, and the layers that have one marked."""
        needed = {
            row.name: self.shifts[row.name]
            for row in self.rows
            if row.name in self.shifts and not {row.on(target) for target in TARGETS}.isdisjoint(EIGHT_BITS)
        }
        rows = [row.model_copy(update={"shifted": row.name in needed}) for row in self.rows]
        return replace(self, rows=rows, shifts=needed)


@one_thread()
def quantize(request: QuantizeRequest, reporter: Reporter | None = None) -> QuantizeResult:
    """Make a plan for the request's model, write it to `out`/plan.json, and try it in PyTorch on held-out images.

    Raises:
        EdgeKitError: the model cannot be built, the images are too few or all equal, no plan keeps the limits, or
            `out` cannot be written.
    """
    from edgekit import graph
    from edgekit.model.build import build, probe
    from edgekit.quantization.store import WEIGHTS, encode
    from edgekit.support.files import write_atomically

    reporter = reporter or Silent()
    embedder = build(request.recipe, reporter)
    with reporter.stage("capture the graph"):
        program = graph.checked(graph.capture(embedder, embedder.example()), graph.PREPARATION, probe(embedder)).program
    made = plan_of(request.recipe, embedder, program, request, reporter)
    path = request.out / "plan.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if made.plan.weights is not None:
        beside = encode(made.plan.levels, made.plan.shifts)
        write_atomically(path.parent / WEIGHTS, lambda part: part.write_bytes(beside))
    write_atomically(path, lambda part: part.write_text(made.plan.to_json(), encoding="utf-8"))
    return QuantizeResult(made.plan, made.losses, made.shares, made.left_out, path)


def plan_of(
    recipe: Recipe,
    embedder: Embedder,
    program: ExportedProgram,
    settings: Settings,
    reporter: Reporter,
    parts: tuple[Pictures, Pictures] | None = None,
) -> Made:
    """A plan for the prepared `program` of `embedder`, tried on held-out images in each target's forms.

    `parts` are images to calibrate on, in place of the settings', and those that will judge the files.

    Raises:
        EdgeKitError: the images are too few or all equal, or no plan keeps the limits.
    """
    from edgekit.data.datasets import CatalogPictures, pictures, tell_skipped
    from edgekit.quantization.budget import weight_share
    from edgekit.quantization.judge import Judge
    from edgekit.quantization.simulate import Simulator

    data: Pictures = CatalogPictures(settings.samples, embedder.spec, split="train")
    if parts is not None:
        data = parts[0]
    elif settings.images is not None:
        data = pictures(settings.images, settings.samples, embedder.spec, reporter)
    own = parts is not None or settings.images is not None
    reporter = TimeLeft(reporter, _work(program, len(data), min(len(data), _JUDGED) if own else _JUDGED, settings))
    if settings.scheme == "auto":
        judged: Iterable[Picture] = data if own else CatalogPictures(_JUDGED, embedder.spec, seed=_SEED)
        draft = _searched(program, data, list(islice(judged, _JUDGED)), settings, reporter)
    else:
        draft = _uniform(program, data, settings, reporter)
    tell_skipped(data, reporter)
    calibration = Calibration(
        dataset=data.name,
        sha256=data.digest(),
        images=len(data),
        others=None if parts is None else len(parts[1]),
        observer=draft.observer if draft.tensors else None,
    )
    plan = _document(recipe, embedder, program, settings.scheme, draft.marked(), calibration)
    held_out = CatalogPictures(_TRIED, embedder.spec)
    with reporter.stage(f"try the plan on {len(held_out)} held-out images"):
        losses = _losses(plan, Judge(Simulator(program, plan.tensors, plan.levels, plan.shifts), held_out))
    return Made(plan, losses, {target: weight_share(program, plan, target) for target in TARGETS}, data.left_out)


def _document(
    recipe: Recipe,
    embedder: Embedder,
    program: ExportedProgram,
    asked: Asked,
    draft: _Draft,
    calibration: Calibration,
) -> Plan:
    """The plan that a draft is, of a model, with what stands beside it."""
    from edgekit.model.embedder import state_sha256
    from edgekit.quantization.constants import large_constants
    from edgekit.quantization.store import encode

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
    found = layers(program)
    tensors, weighted = len(static_tensors(program, {layer.name for layer in found})), len(weights(program))
    tries = 3.5 * _TRIED
    if settings.scheme != "auto":
        return [3.0 * images, tries]
    ranges = [4.5 * tensors] if settings.observer is None else []  # a third of the runs that it could be: most agree
    budget = [] if settings.max_size is None else [2.0 * images, 3.0 * weighted, 1.0 * judged]
    return [3.0 * images, 3.0 * judged, *ranges, 3.0 * len(found), 1.0 * weighted, 2.0 * judged, *budget, tries]


def _searched(
    program: ExportedProgram, data: Pictures, judged: Sequence[Picture], settings: Settings, reporter: Reporter
) -> _Draft:
    from edgekit.quantization.auto import choose
    from edgekit.quantization.budget import shrink

    found = layers(program)
    ranges, moved = _calibrate(program, {layer.name for layer in found}, data, reporter)
    choice = choose(program, ranges, moved, judged, settings, reporter)
    rows: Sequence[LayerPlan] = [searched_row(layer, choice) for layer in found]
    tensors = {name: choice.tensors[name] for name in static_tensors(program, _static(rows))}
    levels: Mapping[str, Levels] = {}
    if settings.max_size is not None:
        coded: dict[str, Scheme] = {layer.name: "palette4" for layer in found if weights_only(layer) == "w8"}
        levels = _few_bits(program, coded, data, reporter)
        rows = shrink(program, rows, levels, judged, settings, reporter)
        kept = {row.name for row in rows if row.scheme in FEW_BITS}
        levels = {name: own for name, own in levels.items() if name in kept}
    return _Draft(rows, tensors, choice.observer, levels, choice.shifts)


def _uniform(program: ExportedProgram, data: Pictures, settings: Settings, reporter: Reporter) -> _Draft:
    rows = [uniform_row(layer, settings.scheme) for layer in layers(program)]
    observer = settings.observer or _OBSERVER
    tensors: dict[str, TensorPlan] = {}
    moved: dict[str, np.ndarray] = {}
    if static := _static(rows):
        ranges, moved = _calibrate(program, static, data, reporter)
        planned = plan_tensors(ranges, observer)
        rows = _keep_float(program, rows, set(static_tensors(program, static)) - set(planned))
        tensors = {name: planned[name] for name in static_tensors(program, _static(rows))}
    coded = {row.name: row.scheme for row in rows if row.scheme in FEW_BITS}
    return _Draft(rows, tensors, observer, _few_bits(program, coded, data, reporter) if coded else {}, moved)


def _losses(plan: Plan, judge: Judge) -> dict[str, Loss]:
    """What each target's forms lose; targets with the same forms are run once."""
    known: dict[tuple[Scheme, ...], Loss] = {}
    found = {}
    for target in TARGETS:
        forms = tuple(row.on(target) for row in plan.layers)
        if forms not in known:
            known[forms] = judge.loss({row.name: form for row, form in zip(plan.layers, forms, strict=True)})
        found[target] = known[forms]
    return found


def _static(rows: Sequence[LayerPlan]) -> set[str]:
    return {row.name for row in rows if "w8a8" in (row.scheme, *row.targets.values())}


def _few_bits(
    program: ExportedProgram, schemes: Mapping[str, Scheme], data: Pictures, reporter: Reporter
) -> dict[str, Levels]:
    from edgekit.quantization.few_bits import few_bits

    _refuse_few(data)
    with reporter.stage(f"round the weights of {len(schemes)} layers, on {len(data)} images") as tick:
        return few_bits(program, schemes, (picture.image for picture in data), lambda done: tick(done, len(data)))


def _refuse_few(data: Pictures) -> None:
    """Refuse images that say too little of a model's activations."""
    if len(data) < _FEWEST:
        raise InputError(
            f"{data.name}: {len(data)} calibration images are too few for activation ranges; give 128 to 512, at least "
            f"{_FEWEST}"
        )
    first = next(iter(data)).image
    if all((first == other.image).all() for other in data):
        raise InputError(f"{data.name}: all calibration images are equal; give photographs of what the model will see")


def _calibrate(
    program: ExportedProgram, static: Collection[str], data: Pictures, reporter: Reporter
) -> tuple[dict[str, Histogram], dict[str, np.ndarray]]:
    """The values on `data` of every tensor that the layers called `static` need a range of, by its name; and by layer
    what rounding the weights shifts.
    """
    from edgekit.quantization.calibrate import calibrate

    def images() -> Iterator[np.ndarray]:
        for picture in data:
            yield picture.image

    wanted, every = static_tensors(program, static), layers(program)
    with reporter.stage(f"calibrate on {len(data)} images, twice") as tick:
        _refuse_few(data)
        seen = calibrate(
            program,
            list(wanted.values()),
            images,
            lambda done: tick(done, 2 * len(data)),
            averaged=averaged(every),
        )
    ranges = tie({name: seen.histograms[node] for name, node in wanted.items()}, tied(program))
    for name in pixels(program) & ranges.keys():
        ranges[name] = replace(ranges[name], pixels=True)
    return ranges, shifts(program, every, seen.means)


def _keep_float(program: ExportedProgram, rows: Sequence[LayerPlan], dead: set[str]) -> list[LayerPlan]:
    """The rows, in float where a tensor never leaves zero: no scale can be given to it."""
    alive = {layer.name for layer in untouched(program, dead)}
    why = "a tensor of it is zero on every calibration image"
    return [
        row if row.name in alive else LayerPlan(name=row.name, kind=row.kind, scheme="float", why=why) for row in rows
    ]
