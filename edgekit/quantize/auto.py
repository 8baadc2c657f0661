"""The scheme `auto`: the best observer, each layer's own damage, and the cheapest schemes that keep the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit.quantize.calibrate import pixels_of
from edgekit.quantize.judge import Judge
from edgekit.quantize.layers import Layer, layers, names
from edgekit.quantize.make import Settings, plan_tensor
from edgekit.quantize.observers import OBSERVERS
from edgekit.quantize.plan import Scheme, TensorPlan
from edgekit.quantize.search import CANDIDATES, candidates, first_choice, islands, search, steps
from edgekit.quantize.sensitivity import Damage, measure
from edgekit.quantize.simulate import Simulator

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from edgekit.console import Reporter
    from edgekit.datasets import Pictures
    from edgekit.images import Picture
    from edgekit.quantize.calibrate import Histogram

__all__ = ["Choice", "choose"]

_PROBES = 6  # images on which each layer is tried alone
_COMPARED = 16  # images on which observers are compared
_KEPT_BACK = 0.2  # share of the allowed loss that is left to images which the search does not see


@dataclass(frozen=True)
class Choice:
    """What the search decided: by layer its scheme, why where it is not the fastest, and the damage of each."""

    observer: str
    tensors: Mapping[str, TensorPlan]
    schemes: Mapping[str, Scheme]
    why: Mapping[str, str]
    damage: Mapping[str, Mapping[Scheme, Damage]]


def choose(
    program: ExportedProgram,
    ranges: Mapping[str, Histogram],
    data: Pictures,
    judged: Sequence[Picture],
    settings: Settings,
    reporter: Reporter,
) -> Choice:
    """Search for the cheapest plan of the prepared `program` that keeps the settings' limits.

    Args:
        ranges: histogram of every tensor that a static layer could need, by name.
        data: the calibration images; layers are tried alone on some of them.
        judged: the images on which whole plans are judged, and observers on some of them.

    Raises:
        UsageError: no plan keeps the limits; says the best that was found.
    """
    found = layers(program)
    observer, tensors = _observer(program, found, ranges, settings, judged[:_COMPARED], reporter)
    dead = _dead(program, found, tensors)
    alive = [layer for layer in found if layer.name not in dead]
    simulator = Simulator(program, tensors)
    tried = candidates(alive)
    images = [pixels_of(picture.image) for picture, _ in zip(data, range(_PROBES), strict=False)]
    total = len(images) * sum(map(len, tried.values()))
    with reporter.stage(f"try {len(alive)} layers alone on {len(images)} images") as tick:
        damage = measure(simulator, tried, images, lambda done: tick(done, total))
    with reporter.stage(f"search on {len(judged)} images"):
        judge = Judge(simulator, judged)
        schemes, _ = search(
            alive,
            steps(alive, damage),
            judge.loss,
            min_cosine=1 - (1 - settings.min_cosine) * (1 - _KEPT_BACK),
            max_recall_drop=settings.max_recall_drop,
        )
    joined = islands(alive, first_choice(alive))
    why = dict.fromkeys(dead, "a tensor of it is zero on every calibration image")
    for layer in alive:
        fastest, own = CANDIDATES[layer.kind][0], schemes[layer.name]
        if own != fastest and joined[layer.name] != fastest:
            why[layer.name] = "no static layer before or after it"
        elif own != fastest:
            worst = damage[layer.name][fastest].worst
            why[layer.name] = f"as {fastest} it costs {worst:.1e} of cosine, or its neighbours do"
    return Choice(observer, tensors, {**dict.fromkeys(dead, "float"), **schemes}, why, damage)


def _observer(
    program: ExportedProgram,
    found: list[Layer],
    ranges: Mapping[str, Histogram],
    settings: Settings,
    data: Sequence[Picture],
    reporter: Reporter,
) -> tuple[str, dict[str, TensorPlan]]:
    """The observer under which the fastest plan loses least in its worst image, and its ranges."""
    tried = [settings.observer] if settings.observer else list(OBSERVERS)
    best: tuple[float, str, dict[str, TensorPlan]] | None = None
    with reporter.stage(f"compare observers on {len(data)} images") as tick:
        for done, observer in enumerate(tried):
            planned = {name: plan_tensor(seen, observer, name == "image") for name, seen in ranges.items()}
            tensors = {name: range_ for name, range_ in planned.items() if range_ is not None}
            dead = _dead(program, found, tensors)
            alive = [layer for layer in found if layer.name not in dead]
            score = 1.0
            if len(tried) > 1:
                score = Judge(Simulator(program, tensors), data).loss(islands(alive, first_choice(alive))).min_cosine
            if best is None or score > best[0]:
                best = score, observer, tensors
            tick(done + 1, len(tried), observer)
    assert best is not None
    return best[1], best[2]


def _dead(program: ExportedProgram, found: list[Layer], tensors: Mapping[str, TensorPlan]) -> set[str]:
    """Layers with a tensor that no scale can be given to."""
    called = names(program)
    return {layer.name for layer in found if any(called[node] not in tensors for node in (*layer.inputs, layer.result))}
