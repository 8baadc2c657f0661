"""Make a plan: which layer gets which scheme, and what range each static tensor has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import InputError
from edgekit.quantize.layers import Layer, layers, static_tensors, tied, untouched
from edgekit.quantize.plan import FORMS, Asked, Calibration, LayerPlan, Plan, Scheme, TensorPlan
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
    from edgekit.images import Picture
    from edgekit.quantize.auto import Choice
    from edgekit.quantize.calibrate import Histogram
    from edgekit.quantize.judge import Judge, Loss
    from edgekit.recipe import Recipe

__all__ = ["QuantizeRequest", "QuantizeResult", "plan_of", "quantize"]

_FEWEST = 16  # calibration images
_TRIED = 32  # held-out images
_JUDGED = 256  # images on which whole plans are judged
_SEED = 1  # of the catalogue: parity's photos are another one's
_TARGETS = ("coreml", "executorch", "onnx")
_OBSERVER = "mse"

# The scheme that was asked for -> what a kind of layer gets. Kinds that are not named keep float.
_BY_KIND: dict[Asked, dict[str, Scheme]] = {
    "w8a8": dict.fromkeys(("conv", "linear", "add", "mul", "sigmoid", "mean", "pool"), "w8a8"),
    "w8a8-dynamic": {"linear": "w8a8-dynamic"},
    "w8": {"conv": "w8", "linear": "w8"},
}


@dataclass(frozen=True, kw_only=True)
class QuantizeRequest(Settings):
    """What to quantize, and where the plan goes."""

    recipe: Recipe
    out: Path


@dataclass(frozen=True)
class QuantizeResult:
    """The plan, where it was written, and what the quantized program loses in each target's forms."""

    plan: Plan
    path: Path
    losses: Mapping[str, Loss]


@one_thread()
def quantize(request: QuantizeRequest, reporter: Reporter) -> QuantizeResult:
    """Make a plan for the request's model, write it to `out`/plan.json, and try it in PyTorch on held-out images.

    Raises:
        EdgeKitError: the model cannot be built, the images are too few or all equal, no plan keeps the limits, or
            `out` cannot be written.
    """
    from edgekit import graph
    from edgekit.files import write_atomically
    from edgekit.pipeline import build

    embedder = build(request.recipe, reporter)
    with reporter.stage("capture the graph"):
        program, _ = graph.prepare(graph.capture(embedder, embedder.example()))
    plan, losses = plan_of(request.recipe, embedder, program, request, reporter)
    path = request.out / "plan.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda part: part.write_text(plan.to_json(), encoding="utf-8"))
    return QuantizeResult(plan, path, losses)


def plan_of(
    recipe: Recipe, embedder: Embedder, program: ExportedProgram, settings: Settings, reporter: Reporter
) -> tuple[Plan, dict[str, Loss]]:
    """A plan for the prepared `program` of `embedder`, and what it loses in each target's forms on held-out images.

    Raises:
        EdgeKitError: the images are too few or all equal, or no plan keeps the limits.
    """
    from edgekit.datasets import CatalogPictures, pictures
    from edgekit.embedder import state_sha256
    from edgekit.quantize.judge import Judge
    from edgekit.quantize.simulate import Simulator

    def calibrate(wanted: Mapping[str, str]) -> dict[str, Histogram]:
        by_node = _calibrate(program, list(wanted.values()), data, reporter)
        return tie({name: by_node[node] for name, node in wanted.items()}, tied(program))

    data: Pictures = CatalogPictures(settings.samples, embedder.spec, split="train")
    if settings.images is not None:
        data = pictures(settings.images, settings.samples, embedder.spec)
    found, observer = layers(program), settings.observer or _OBSERVER
    rows = [_plan_layer(layer, settings.scheme) for layer in found]
    tensors: dict[str, TensorPlan] = {}
    if settings.scheme == "auto":
        from edgekit.quantize.auto import choose

        ranges = calibrate(static_tensors(program, {layer.name for layer in found}))
        judged: Iterable[Picture] = data if settings.images else CatalogPictures(_JUDGED, embedder.spec, seed=_SEED)
        choice = choose(program, ranges, list(islice(judged, _JUDGED)), settings, reporter)
        rows, observer = [_chosen_layer(layer, choice) for layer in found], choice.observer
        needed = static_tensors(program, _static(rows))
        tensors = {name: choice.tensors[name] for name in needed}
    elif wanted := static_tensors(program, _static(rows)):
        planned = plan_tensors(calibrate(wanted), observer)
        rows = _keep_float(program, rows, set(wanted) - set(planned))
        needed = static_tensors(program, _static(rows))
        tensors = {name: planned[name] for name in needed}
    calibration = None
    if tensors:
        calibration = Calibration(dataset=data.name, sha256=data.digest(), images=len(data), observer=observer)
    plan = Plan(
        model=recipe.name,
        backbone=recipe.model.backbone,
        weights_sha256=state_sha256(embedder),
        input=embedder.spec.size,
        scheme=settings.scheme,
        calibration=calibration,
        layers=tuple(rows),
        tensors=tensors,
    )
    held_out = CatalogPictures(_TRIED, embedder.spec)
    with reporter.stage(f"try the plan on {len(held_out)} held-out images"):
        judge = Judge(Simulator(program, tensors), held_out)
        return plan, _losses(plan, judge)


def _losses(plan: Plan, judge: Judge) -> dict[str, Loss]:
    """What each target's forms lose; targets with the same forms are run once."""
    known: dict[tuple[Scheme, ...], Loss] = {}
    found = {}
    for target in _TARGETS:
        forms = tuple(row.on(target) for row in plan.layers)
        if forms not in known:
            known[forms] = judge.loss({row.name: form for row, form in zip(plan.layers, forms, strict=True)})
        found[target] = known[forms]
    return found


def _static(rows: Sequence[LayerPlan]) -> set[str]:
    return {row.name for row in rows if "w8a8" in (row.scheme, *row.targets.values())}


def _calibrate(
    program: ExportedProgram, nodes: Sequence[str], data: Pictures, reporter: Reporter
) -> dict[str, Histogram]:
    from edgekit.quantize.calibrate import calibrate

    if len(data) < _FEWEST:
        raise InputError(
            f"{data.name}: {len(data)} calibration images are too few for activation ranges; give 128 to 512, at least "
            f"{_FEWEST}"
        )

    def images() -> Iterator[np.ndarray]:
        for picture in data:
            yield picture.image

    with reporter.stage(f"calibrate on {len(data)} images, twice") as tick:
        _refuse_equal(images(), data.name)
        return calibrate(program, nodes, images, lambda done: tick(done, 2 * len(data)))


def _refuse_equal(images: Iterator[np.ndarray], name: str) -> None:
    first = next(images)
    if all((first == other).all() for other in images):
        raise InputError(f"{name}: all calibration images are equal; give photographs of what the model will see")


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
    """Where a target has no such form, the nearest one."""
    forms = {target: FORMS.get((target, scheme, layer.kind), FORMS.get((target, scheme, "*"))) for target in _TARGETS}
    return {target: form for target, form in forms.items() if form is not None}
