"""From images to decisions: which layer gets which scheme, what range each static tensor has, how weights round."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edgekit.errors import InputError
from edgekit.quantization.auto import choose
from edgekit.quantization.budget import FORM, shrink
from edgekit.quantization.calibrate import calibrate
from edgekit.quantization.gptq import encode_weights
from edgekit.quantization.layers import large, layers, pixels, static_tensors, tied, untouched
from edgekit.quantization.plan import LayerPlan, TensorPlan
from edgekit.quantization.ranges import plan_tensors, tie
from edgekit.quantization.rows import searched_row, uniform_row
from edgekit.quantization.schemes import SCHEMES, TARGETS
from edgekit.quantization.shifts import averaged, shifts

if TYPE_CHECKING:
    import numpy as np
    from torch.export import ExportedProgram

    from edgekit.data.datasets import Pictures
    from edgekit.data.images import Picture
    from edgekit.graph.levels import Levels
    from edgekit.quantization.calibrate import Histogram
    from edgekit.quantization.settings import Settings
    from edgekit.support.progress import Reporter

__all__ = ["Draft", "searched", "uniform"]

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
        raise InputError(f"{data.name}: all calibration images are equal; give photographs of what the model will see")


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
    return [
        row if row.name in alive else LayerPlan(name=row.name, kind=row.kind, scheme="float", why=why) for row in rows
    ]
