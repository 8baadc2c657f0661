"""Make a plan: which layer gets which scheme, and what range each static tensor has."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import InputError
from edgekit.quantize.layers import WEIGHTED, Layer, layers, static_tensors, tied, unlike_neighbours, untouched
from edgekit.quantize.plan import (
    FEW_BITS,
    TARGETS,
    Asked,
    Calibration,
    LayerPlan,
    Plan,
    Scheme,
    TensorPlan,
    nearest_forms,
)
from edgekit.quantize.ranges import plan_tensors, tie
from edgekit.quantize.search import weights_only
from edgekit.quantize.settings import Settings
from edgekit.threads import one_thread

if TYPE_CHECKING:
    import numpy as np
    from torch.export import ExportedProgram

    from edgekit.console import Reporter
    from edgekit.datasets import Pictures
    from edgekit.embedder import Embedder
    from edgekit.image_files import LeftOut
    from edgekit.images import Picture
    from edgekit.levels import Levels
    from edgekit.quantize.auto import Choice
    from edgekit.quantize.calibrate import Histogram
    from edgekit.quantize.judge import Judge, Loss
    from edgekit.recipe import Recipe

__all__ = ["Made", "QuantizeRequest", "QuantizeResult", "plan_of", "quantize"]

_FEWEST = 16  # calibration images
_TRIED = 32  # held-out images
_JUDGED = 256  # images on which whole plans are judged
_SEED = 1  # of the catalogue: parity's photos are another one's
_OBSERVER = "mse"

# The scheme that was asked for -> what a kind of layer gets. Kinds that are not named keep float.
_BY_KIND: dict[Asked, dict[str, Scheme]] = {
    "w8a8": dict.fromkeys((*WEIGHTED, "add", "mul", "sigmoid", "mean", "pool"), "w8a8"),
    "w8a8-dynamic": {"linear": "w8a8-dynamic", "conv": "w8a8-dynamic", "depthwise": "w8"},
    "w8": dict.fromkeys(WEIGHTED, "w8"),
    "palette6": dict.fromkeys(WEIGHTED, "palette6"),
    "palette4": dict.fromkeys(WEIGHTED, "palette4"),
    "w4": dict.fromkeys(WEIGHTED, "w4"),
}


@dataclass(frozen=True, kw_only=True)
class QuantizeRequest(Settings):
    """What to quantize, and where the plan goes."""

    recipe: Recipe
    out: Path


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
    """What was decided: the layers, the ranges of static tensors and what chose them, the weights on few levels."""

    rows: Sequence[LayerPlan]
    tensors: Mapping[str, TensorPlan]
    observer: str | None
    levels: Mapping[str, Levels]


@one_thread()
def quantize(request: QuantizeRequest, reporter: Reporter) -> QuantizeResult:
    """Make a plan for the request's model, write it to `out`/plan.json, and try it in PyTorch on held-out images.

    Raises:
        EdgeKitError: the model cannot be built, the images are too few or all equal, no plan keeps the limits, or
            `out` cannot be written.
    """
    from edgekit import graph
    from edgekit.datasets import probe
    from edgekit.files import write_atomically
    from edgekit.pipeline import build
    from edgekit.quantize.fewbits import WEIGHTS, encode

    embedder = build(request.recipe, reporter)
    with reporter.stage("capture the graph"):
        program = graph.checked(graph.capture(embedder, embedder.example()), graph.PREPARATION, probe(embedder)).program
    made = plan_of(request.recipe, embedder, program, request, reporter)
    path = request.out / "plan.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if made.plan.levels:
        write_atomically(path.parent / WEIGHTS, lambda part: part.write_bytes(encode(made.plan.levels)))
    write_atomically(path, lambda part: part.write_text(made.plan.to_json(), encoding="utf-8"))
    return QuantizeResult(made.plan, made.losses, made.shares, made.left_out, path)


def plan_of(
    recipe: Recipe, embedder: Embedder, program: ExportedProgram, settings: Settings, reporter: Reporter
) -> Made:
    """A plan for the prepared `program` of `embedder`, tried on held-out images in each target's forms.

    Raises:
        EdgeKitError: the images are too few or all equal, or no plan keeps the limits.
    """
    from edgekit.datasets import CatalogPictures, pictures, tell_skipped
    from edgekit.embedder import state_sha256
    from edgekit.quantize.budget import weight_share
    from edgekit.quantize.constants import large_constants
    from edgekit.quantize.fewbits import encode
    from edgekit.quantize.judge import Judge
    from edgekit.quantize.simulate import Simulator

    data: Pictures = CatalogPictures(settings.samples, embedder.spec, split="train")
    if settings.images is not None:
        data = pictures(settings.images, settings.samples, embedder.spec, reporter)
    if settings.scheme == "auto":
        judged: Iterable[Picture] = data if settings.images else CatalogPictures(_JUDGED, embedder.spec, seed=_SEED)
        draft = _searched(program, data, list(islice(judged, _JUDGED)), settings, reporter)
    else:
        draft = _uniform(program, data, settings, reporter)
    tell_skipped(data, reporter)
    calibration = None
    if draft.tensors or draft.levels:
        observer = draft.observer if draft.tensors else None
        calibration = Calibration(dataset=data.name, sha256=data.digest(), images=len(data), observer=observer)
    plan = Plan(
        model=recipe.name,
        backbone=recipe.model.backbone,
        weights_sha256=state_sha256(embedder),
        input=embedder.spec.size,
        scheme=settings.scheme,
        calibration=calibration,
        weights=hashlib.sha256(encode(draft.levels)).hexdigest() if draft.levels else None,
        constants=tuple(large_constants(program)),
        layers=tuple(draft.rows),
        tensors=dict(draft.tensors),
    ).with_levels(draft.levels)
    held_out = CatalogPictures(_TRIED, embedder.spec)
    with reporter.stage(f"try the plan on {len(held_out)} held-out images"):
        losses = _losses(plan, Judge(Simulator(program, draft.tensors, draft.levels), held_out))
    return Made(plan, losses, {target: weight_share(program, plan, target) for target in TARGETS}, data.left_out)


def _searched(
    program: ExportedProgram, data: Pictures, judged: Sequence[Picture], settings: Settings, reporter: Reporter
) -> _Draft:
    from edgekit.quantize.auto import choose
    from edgekit.quantize.budget import shrink

    found = layers(program)
    ranges = _calibrate(program, {layer.name for layer in found}, data, reporter)
    choice = choose(program, ranges, judged, settings, reporter)
    rows: Sequence[LayerPlan] = [_chosen_layer(layer, choice) for layer in found]
    tensors = {name: choice.tensors[name] for name in static_tensors(program, _static(rows))}
    levels: Mapping[str, Levels] = {}
    if settings.max_size is not None:
        coded: dict[str, Scheme] = {layer.name: "palette4" for layer in found if weights_only(layer) == "w8"}
        levels = _few_bits(program, coded, data, reporter)
        rows = shrink(program, rows, levels, judged, settings, reporter)
        kept = {row.name for row in rows if row.scheme in FEW_BITS}
        levels = {name: own for name, own in levels.items() if name in kept}
    return _Draft(rows, tensors, choice.observer, levels)


def _uniform(program: ExportedProgram, data: Pictures, settings: Settings, reporter: Reporter) -> _Draft:
    rows = [_plan_layer(layer, settings.scheme) for layer in layers(program)]
    observer = settings.observer or _OBSERVER
    tensors: dict[str, TensorPlan] = {}
    if static := _static(rows):
        planned = plan_tensors(_calibrate(program, static, data, reporter), observer)
        rows = _keep_float(program, rows, set(static_tensors(program, static)) - set(planned))
        tensors = {name: planned[name] for name in static_tensors(program, _static(rows))}
    coded = {row.name: row.scheme for row in rows if row.scheme in FEW_BITS}
    return _Draft(rows, tensors, observer, _few_bits(program, coded, data, reporter) if coded else {})


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
    from edgekit.quantize.fewbits import few_bits

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
) -> dict[str, Histogram]:
    """The values on `data` of every tensor that the layers called `static` need a range of, by its name."""
    from edgekit.quantize.calibrate import calibrate

    def images() -> Iterator[np.ndarray]:
        for picture in data:
            yield picture.image

    wanted = static_tensors(program, static)
    with reporter.stage(f"calibrate on {len(data)} images, twice") as tick:
        _refuse_few(data)
        found = calibrate(program, list(wanted.values()), images, lambda done: tick(done, 2 * len(data)))
        return tie({name: found[node] for name, node in wanted.items()}, tied(program))


def _keep_float(program: ExportedProgram, rows: Sequence[LayerPlan], dead: set[str]) -> list[LayerPlan]:
    """The rows, in float where a tensor never leaves zero: no scale can be given to it."""
    alive = {layer.name for layer in untouched(program, dead)}
    why = "a tensor of it is zero on every calibration image"
    return [
        row if row.name in alive else LayerPlan(name=row.name, kind=row.kind, scheme="float", why=why) for row in rows
    ]


def _plan_layer(layer: Layer, scheme: Asked) -> LayerPlan:
    own = _BY_KIND.get(scheme, {}).get(layer.kind)
    if own is None:
        return LayerPlan(name=layer.name, kind=layer.kind, scheme="float", why=f"{scheme} has no form for {layer.kind}")
    if own in FEW_BITS and weights_only(layer) == "float":
        return LayerPlan(name=layer.name, kind=layer.kind, scheme="float", why="so few weights save nothing")
    return LayerPlan(name=layer.name, kind=layer.kind, scheme=own, targets=_forms(layer, own))


def _chosen_layer(layer: Layer, choice: Choice) -> LayerPlan:
    own = choice.schemes[layer.name]
    targets = _forms(layer, own)
    if own == "w8" and "executorch" in targets:
        targets["executorch"] = "float"  # dynamic activations are what the search avoided
    if own == "w8a8":
        targets["coreml"] = weights_only(
            layer
        )  # no machine here can tell on which phones static activations are faster
        if not choice.integers_pay:
            targets["onnx"] = weights_only(layer)
    return LayerPlan(
        name=layer.name,
        kind=layer.kind,
        scheme=own,
        why=choice.why.get(layer.name),
        damage={scheme: round(found.worst, 8) for scheme, found in choice.damage.get(layer.name, {}).items()},
        targets=targets,
    )


def _forms(layer: Layer, scheme: Scheme) -> dict[str, Scheme]:
    """By target, what stands for `scheme` on this layer where the target has no such form."""
    forms = nearest_forms(scheme, layer.kind)
    dynamic = forms.get("executorch", scheme) == "w8a8-dynamic"
    if layer.kind == "conv" and dynamic and (weights_only(layer) == "float" or unlike_neighbours(layer)):
        forms["executorch"] = "float"
    return forms
