"""From images to decisions: which layer gets which scheme, what range each static tensor has, how weights round."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from torch.export import ExportedProgram

from edgekit.data.datasets import Pictures
from edgekit.data.images import Picture
from edgekit.errors import InputError
from edgekit.graph.levels import Levels
from edgekit.quantization.auto import Choice, choose
from edgekit.quantization.budget import FORM, shrink
from edgekit.quantization.calibrate import Histogram, calibrate
from edgekit.quantization.gptq import encode_weights
from edgekit.quantization.layers import Layer, large, layers, pixels, static_tensors, tied, unlike_neighbours, untouched
from edgekit.quantization.plan import LayerPlan, TensorPlan
from edgekit.quantization.ranges import plan_tensors, tie
from edgekit.quantization.schemes import SCHEMES, TARGETS, WEIGHTS_ONLY, nearest_forms
from edgekit.quantization.settings import Settings
from edgekit.quantization.weights import averaged, shifts
from edgekit.support.progress import Reporter

__all__ = ["Draft", "layer_row", "searched", "searched_row", "uniform", "uniform_row"]

_FEWEST = 16  # calibration images
_OBSERVER = "mse"


@dataclass(frozen=True)
class Draft:
    """What was decided: the layers, the ranges of static tensors and what chose them, the weights on few levels, and
    what is added to the biases of layers in 8 bits.
    """

    rows: Sequence[LayerPlan]
    tensors: Mapping[str, TensorPlan]
    observer: str
    levels: Mapping[str, Levels] = field(default_factory=dict)
    shifts: Mapping[str, np.ndarray] = field(default_factory=dict)

    def marked(self) -> Draft:
        """The same, with the shifts that some target needs, and the layers that have one marked."""
        needed = {
            row.name: self.shifts[row.name]
            for row in self.rows
            if row.name in self.shifts and any(SCHEMES[row.on(target)].weights == "channel" for target in TARGETS)
        }
        rows = [row.model_copy(update={"shifted": row.name in needed}) for row in self.rows]
        return replace(self, rows=rows, shifts=needed)


def searched(
    program: ExportedProgram, data: Pictures, judged: Sequence[Picture], settings: Settings, reporter: Reporter
) -> Draft:
    """What the search finds for the prepared `program`, with ranges from `data`, on the `judged` images.

    Raises:
        UsageError: no plan keeps the settings' limits.
        InputError: the images are too few, or all equal.
    """
    known = layers(program)
    ranges, moved = _calibrate(program, {layer.name for layer in known}, data, reporter)
    choice = choose(program, ranges, moved, judged, settings, reporter)
    rows: Sequence[LayerPlan] = [searched_row(layer, choice) for layer in known]
    tensors = {name: choice.tensors[name] for name in static_tensors(program, _static(rows))}
    levels: dict[str, Levels] = {}
    if settings.max_size is not None:
        levels = _encode(program, {layer.name: FORM for layer in known if large(layer)}, data, reporter)
        rows = shrink(program, rows, levels, judged, settings, reporter)
        levels = {row.name: levels[row.name] for row in rows if SCHEMES[row.scheme].coded}
    return Draft(rows, tensors, choice.observer, levels, choice.shifts)


def uniform(program: ExportedProgram, data: Pictures, settings: Settings, reporter: Reporter) -> Draft:
    """All layers of the prepared `program` under the settings' scheme, as far as their kinds have it.

    Raises:
        InputError: images are needed, and `data` are too few or all equal.
    """
    rows = [uniform_row(layer, settings.scheme) for layer in layers(program)]
    observer = settings.observer or _OBSERVER
    tensors: dict[str, TensorPlan] = {}
    moved: dict[str, np.ndarray] = {}
    if static := _static(rows):
        ranges, moved = _calibrate(program, static, data, reporter)
        planned = plan_tensors(ranges, observer)
        rows = _keep_float(program, rows, set(static_tensors(program, static)) - set(planned))
        tensors = {name: planned[name] for name in static_tensors(program, _static(rows))}
    coded = {row.name: row.scheme for row in rows if SCHEMES[row.scheme].coded}
    return Draft(rows, tensors, observer, _encode(program, coded, data, reporter) if coded else {}, moved)


def layer_row(layer: Layer, scheme: str) -> LayerPlan:
    """A layer under a scheme that its kind has, and what stands for it where a target has no such form."""
    forms = nearest_forms(scheme, layer.kind)
    dynamic = SCHEMES[forms.get("executorch", scheme)].activations == "dynamic"
    if layer.kind == "conv" and dynamic and (not large(layer) or unlike_neighbours(layer)):
        forms["executorch"] = "float"
    return LayerPlan(name=layer.name, kind=layer.kind, scheme=scheme, targets=forms)


def uniform_row(layer: Layer, asked: str) -> LayerPlan:
    """A layer of a plan in which all have one scheme, as far as their kinds have it."""
    scheme = SCHEMES[asked]
    own = asked if layer.kind in scheme.kinds else scheme.other_kinds.get(layer.kind)
    if own is not None and (large(layer) or not SCHEMES[own].coded):
        return layer_row(layer, own)
    why = f"{asked} has no form for {layer.kind}" if own is None else "so few weights save nothing"
    return LayerPlan(name=layer.name, kind=layer.kind, scheme="float", why=why)


def searched_row(layer: Layer, choice: Choice) -> LayerPlan:
    """A layer of a plan that was searched for."""
    own = choice.schemes[layer.name]
    row = layer_row(layer, own)
    targets = dict(row.targets)
    weights_only = WEIGHTS_ONLY if large(layer) else "float"
    if SCHEMES[own].activations == "float" and "executorch" in targets:
        targets["executorch"] = "float"  # dynamic activations are what the search avoided
    if SCHEMES[own].static:
        # No machine here can tell on which phones static activations are faster.
        targets["coreml"] = targets["coreai"] = weights_only
        if not choice.integers_pay:
            targets["onnx"] = weights_only
    damage = {scheme: round(alone.worst, 8) for scheme, alone in choice.damage.get(layer.name, {}).items()}
    return row.model_copy(update={"targets": targets, "why": choice.why.get(layer.name), "damage": damage})


def _static(rows: Sequence[LayerPlan]) -> set[str]:
    return {row.name for row in rows if any(SCHEMES[form].static for form in (row.scheme, *row.targets.values()))}


def _encode(
    program: ExportedProgram, schemes: Mapping[str, str], data: Pictures, reporter: Reporter
) -> dict[str, Levels]:
    _refuse_few(data)
    with reporter.stage(f"round the weights of {len(schemes)} layers, on {len(data)} images") as tick:
        return encode_weights(program, schemes, _images(data), lambda done: tick(done, len(data)))


def _images(data: Pictures) -> Iterator[np.ndarray]:
    return (picture.image for picture in data)


def _refuse_few(data: Pictures) -> None:
    """Refuse images that say too little of a model's activations."""
    if len(data) < _FEWEST:
        raise InputError(
            f"{data.name}: {len(data)} calibration images are too few for activation ranges; give 128 to 512, at least "
            f"{_FEWEST}"
        )
    first = next(_images(data))
    if all((first == image).all() for image in _images(data)):
        raise InputError(
            f"{data.name}: all calibration images are the same; give photographs of what the model will see"
        )


def _calibrate(
    program: ExportedProgram, static: Collection[str], data: Pictures, reporter: Reporter
) -> tuple[dict[str, Histogram], dict[str, np.ndarray]]:
    """The values on `data` of every tensor that the layers called `static` need a range of, by its name; and by layer
    what rounding the weights shifts.
    """
    wanted, known = static_tensors(program, static), layers(program)
    with reporter.stage(f"calibrate on {len(data)} images, twice") as tick:
        _refuse_few(data)
        seen = calibrate(
            program,
            list(wanted.values()),
            lambda: _images(data),
            lambda done: tick(done, 2 * len(data)),
            averaged=averaged(known),
        )
    ranges = tie({name: seen.histograms[node] for name, node in wanted.items()}, tied(program))
    for name in pixels(program) & ranges.keys():
        ranges[name] = replace(ranges[name], pixels=True)
    return ranges, shifts(program, known, seen.means)


def _keep_float(program: ExportedProgram, rows: Sequence[LayerPlan], dead: set[str]) -> list[LayerPlan]:
    """The rows, in float where a tensor never leaves zero: no scale can be given to it."""
    alive = {layer.name for layer in untouched(program, dead)}
    why = "a tensor of it is zero on every calibration image"
    kept = {"scheme": "float", "targets": {}, "why": why}
    return [row if row.name in alive else row.model_copy(update=kept) for row in rows]
