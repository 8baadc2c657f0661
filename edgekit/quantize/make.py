"""Make a plan: which layer gets which scheme, and what range each static tensor has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import InputError
from edgekit.quantize.layers import Layer, layers, names
from edgekit.quantize.observers import OBSERVERS
from edgekit.quantize.plan import FORMS, Calibration, LayerPlan, Plan, Scheme, TensorPlan
from edgekit.threads import one_thread

if TYPE_CHECKING:
    import numpy as np
    from torch.export import ExportedProgram

    from edgekit.console import Reporter
    from edgekit.datasets import Pictures
    from edgekit.quantize.calibrate import Histogram
    from edgekit.recipe import Recipe

__all__ = ["QuantizeRequest", "QuantizeResult", "quantize"]

_FEWEST = 16  # calibration images
_TRIED = 32  # held-out images
_LEVELS = 255
_IMAGE = (0.0, 255.0)
_TARGETS = ("coreml", "executorch", "onnx")

# The scheme that was asked for -> what a kind of layer gets. Kinds that are not named keep float.
_BY_KIND: dict[Scheme, dict[str, Scheme]] = {
    "w8a8": dict.fromkeys(("conv", "linear", "add", "mul", "sigmoid", "mean", "pool"), "w8a8"),
    "w8a8-dynamic": {"linear": "w8a8-dynamic"},
    "w8": {"conv": "w8", "linear": "w8"},
}


@dataclass(frozen=True)
class QuantizeRequest:
    """What to quantize, how, and on which images."""

    recipe: Recipe
    scheme: Scheme
    out: Path
    images: Path | None = None  # None: the synthetic catalogue's training split
    samples: int = 128
    observer: str = "mse"


@dataclass(frozen=True)
class QuantizeResult:
    """The plan, where it was written, and by target the cosines [N] of the quantized program to the original."""

    plan: Plan
    path: Path
    cosines: Mapping[str, np.ndarray]


@one_thread()
def quantize(request: QuantizeRequest, reporter: Reporter) -> QuantizeResult:
    """Make a plan for the request's model, write it to `out`/plan.json, and try it in PyTorch on held-out images.

    Raises:
        EdgeKitError: the model cannot be built, the images are too few or all equal, or `out` cannot be written.
    """
    from edgekit import graph
    from edgekit.datasets import CatalogPictures, pictures
    from edgekit.embedder import state_sha256
    from edgekit.files import write_atomically
    from edgekit.pipeline import build

    embedder = build(request.recipe, reporter)
    with reporter.stage("capture the graph"):
        program, _ = graph.prepare(graph.capture(embedder, embedder.example()))
    rows = [_plan_layer(layer, request.scheme) for layer in layers(program)]
    tensors: dict[str, TensorPlan] = {}
    calibration = None
    if wanted := _static_tensors(program, rows):
        data: Pictures = CatalogPictures(request.samples, embedder.spec, split="train")
        if request.images is not None:
            data = pictures(request.images, request.samples, embedder.spec)
        seen = _calibrate(program, list(wanted.values()), data, reporter)
        planned = {name: _plan_tensor(seen[node], request.observer, node == "image") for name, node in wanted.items()}
        rows = _keep_float(program, rows, {name for name, range_ in planned.items() if range_ is None})
        needed = _static_tensors(program, rows)
        tensors = {name: range_ for name, range_ in planned.items() if range_ is not None and name in needed}
        calibration = Calibration(dataset=data.name, sha256=data.digest(), images=len(data), observer=request.observer)
    plan = Plan(
        model=request.recipe.name,
        backbone=request.recipe.model.backbone,
        weights_sha256=state_sha256(embedder),
        input=embedder.spec.size,
        scheme=request.scheme,
        calibration=calibration,
        layers=tuple(rows),
        tensors=tensors,
    )
    cosines = _try(plan, program, CatalogPictures(_TRIED, embedder.spec), reporter)
    path = request.out / "plan.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda part: part.write_text(plan.to_json(), encoding="utf-8"))
    return QuantizeResult(plan, path, cosines)


def _try(plan: Plan, program: ExportedProgram, data: Pictures, reporter: Reporter) -> dict[str, np.ndarray]:
    """Cosines of each target's quantized program to the prepared one; targets with the same forms are run once."""
    from edgekit.quantize.apply import apply

    found: dict[str, np.ndarray] = {}
    known: dict[tuple[str, ...], np.ndarray] = {}
    with reporter.stage(f"try the plan on {len(data)} held-out images"):
        original = _embed(program, data)
        for target in _TARGETS:
            forms = tuple(row.on(target) for row in plan.layers)
            if forms not in known:
                known[forms] = (_embed(apply(program, plan, target), data) * original).sum(axis=1)
            found[target] = known[forms]
    return found


def _embed(program: ExportedProgram, data: Pictures) -> np.ndarray:
    import numpy as np
    import torch

    run = program.module()
    with torch.no_grad():
        pixels = (torch.from_numpy(np.array(picture.image)).permute(2, 0, 1)[None].float() for picture in data)
        return np.concatenate([run(image).numpy() for image in pixels])


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
    called = names(program)
    touched = {
        layer.name for layer in layers(program) if {called[node] for node in (*layer.inputs, layer.result)} & dead
    }
    why = "a tensor of it is zero on every calibration image"
    return [
        LayerPlan(name=row.name, kind=row.kind, scheme="float", why=why) if row.name in touched else row for row in rows
    ]


def _plan_layer(layer: Layer, scheme: Scheme) -> LayerPlan:
    own = _BY_KIND[scheme].get(layer.kind)
    if own is None:
        return LayerPlan(name=layer.name, kind=layer.kind, scheme="float", why=f"{scheme} has no form for {layer.kind}")
    forms = {target: FORMS.get((target, own, layer.kind), FORMS.get((target, own, "*"))) for target in _TARGETS}
    targets = {target: form for target, form in forms.items() if form is not None}
    return LayerPlan(name=layer.name, kind=layer.kind, scheme=own, targets=targets)


def _static_tensors(program: ExportedProgram, rows: Sequence[LayerPlan]) -> dict[str, str]:
    """Name of each tensor that needs a range -> name of the node that makes it."""
    called = names(program)
    static = {row.name for row in rows if "w8a8" in (row.scheme, *row.targets.values())}
    found = {}
    for layer in layers(program):
        if layer.name in static:
            for node in (*layer.inputs, layer.result):
                found[called[node]] = node.name
    return found


def _plan_tensor(seen: Histogram, observer: str, image: bool) -> TensorPlan | None:
    """The integers of a tensor, zero always exact; None where it never leaves zero."""
    low, high = _IMAGE if image else OBSERVERS[observer](seen.counts, seen.low, seen.high)
    low, high = min(low, 0.0), max(high, 0.0)
    if high == low:
        return None
    scale = (high - low) / _LEVELS
    zero = round(-128 - low / scale)
    return TensorPlan(low=low, high=high, scale=scale, zero_point=zero, seen=(seen.low, seen.high))
