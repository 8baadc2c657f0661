"""The scheme `auto`: the best range of each tensor, and the cheapest schemes that keep the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.export import ExportedProgram

from edgekit.data.images import Picture
from edgekit.quantization.calibrate import Histogram
from edgekit.quantization.judge import Judge, Loss
from edgekit.quantization.layers import layers, static_tensors, untouched
from edgekit.quantization.plan import TensorPlan
from edgekit.quantization.ranges import best_ranges, plan_tensors
from edgekit.quantization.schemes import SCHEMES, candidates
from edgekit.quantization.search import TRIFLE, first_choice, integers_pay, search, steps, without_isolated
from edgekit.quantization.sensitivity import Damage, measure
from edgekit.quantization.settings import Settings
from edgekit.quantization.simulate import Simulator
from edgekit.support.progress import Reporter

__all__ = ["Choice", "choose"]

_FIRST = "mse"  # the observer under which the hardest images are looked for
_PROBES = 6  # of the hardest images: each tensor and each layer is tried alone on them
_HARD = 32  # of the hardest images: whole plans are searched on them
# Share of the allowed loss that is left to images which the search does not see: the worst of 400 others has lost up
# to 2.1 times as much.
_KEPT_BACK = 0.5


@dataclass(frozen=True)
class Choice:
    """What the search decided: by layer its scheme, why where it is not the fastest, and the damage of each."""

    observer: str
    tensors: Mapping[str, TensorPlan]
    shifts: Mapping[str, np.ndarray]  # what is added to biases; none where that does not pay
    schemes: Mapping[str, str]
    why: Mapping[str, str]
    damage: Mapping[str, Mapping[str, Damage]]
    integers_pay: bool  # in ONNX Runtime


def choose(
    program: ExportedProgram,
    ranges: Mapping[str, Histogram],
    shifts: Mapping[str, np.ndarray],
    judged: Sequence[Picture],
    settings: Settings,
    reporter: Reporter,
) -> Choice:
    """Search for the cheapest plan of the prepared `program` that keeps the settings' limits.

    Args:
        ranges: histogram of every tensor that a static layer could need, by name.
        shifts: what is added to the bias of a layer in 8 bits, by name.
        judged: the images on which plans are judged. Those that the fastest plan hurts most decide nearly everything.

    Raises:
        UsageError: no plan keeps the limits; says the best that was found.
    """
    simulator = Simulator(program, plan_tensors(ranges, settings.observer or _FIRST), shifts=shifts)
    alive = untouched(program, set(ranges) - set(simulator.tensors))
    fastest = without_isolated(alive, first_choice(alive))
    total = 2 * len(judged)
    with reporter.stage(f"look for the hardest of {len(judged)} images") as tick:
        judge = Judge(simulator, judged, lambda done: tick(done, total))
        cosines = judge.cosines(fastest, progress=lambda done: tick(len(judged) + done, total))
    order = [int(index) for index in np.argsort(cosines, kind="stable")]  # hardest first
    hard = order[:_HARD]
    if not _shifts_pay(simulator, judge, fastest, hard, float(cosines.min())):
        shifts = {}
    probes = [judge.images[index] for index in hard[:_PROBES]]
    if settings.observer is None:
        wanted = static_tensors(program, {name for name, scheme in fastest.items() if SCHEMES[scheme].static})
        with reporter.stage(f"choose the ranges of {len(wanted)} tensors") as tick:
            best = best_ranges(simulator, {name: ranges[name] for name in wanted}, probes, tick)
            simulator.tensors = {**simulator.tensors, **best}
    in_integers = {name: scheme for name, scheme in fastest.items() if scheme != "float"}
    damage = _damage(simulator, in_integers, probes, reporter)
    with reporter.stage("search"):
        schemes, _ = search(
            alive,
            steps(alive, damage),
            lambda schemes, least: judge.worst(schemes, hard, least),
            lambda schemes, least: _judged(judge, schemes, order, hard, least),
            min_cosine=1 - (1 - settings.min_cosine) * (1 - _KEPT_BACK),
            max_recall_drop=settings.max_recall_drop,
        )
    dead = [layer.name for layer in layers(program) if layer not in alive]
    why = dict.fromkeys(dead, "a tensor of it is zero on every calibration image")
    for layer in alive:
        first, own = candidates(layer.kind)[0], schemes[layer.name]
        if own != first and fastest[layer.name] != first:
            why[layer.name] = "no static layer before or after it"
        elif own != first:
            worst = damage[layer.name][first].worst
            why[layer.name] = f"as {first} it costs {worst:.1e} of cosine, or its neighbours do"
    observer = settings.observer or "best"
    pay = integers_pay(alive, schemes)
    return Choice(observer, simulator.tensors, shifts, {**dict.fromkeys(dead, "float"), **schemes}, why, damage, pay)


def _judged(judge: Judge, schemes: Mapping[str, str], order: Sequence[int], hard: list[int], least: float) -> Loss:
    """The loss on all images; one that is below `least` is looked at first from then on."""
    loss = judge.loss(schemes, order, least)
    if loss.missed is not None:
        hard.insert(0, loss.missed)
    return loss


def _shifts_pay(
    simulator: Simulator, judge: Judge, schemes: Mapping[str, str], hard: Sequence[int], least: float
) -> bool:
    """Whether the hardest images keep more than without what is added to biases, with which they keep `least`; the
    simulator goes on with what is better.
    """
    shifts, simulator.shifts = simulator.shifts, {}
    pay = judge.worst(schemes, hard, least) < least
    if pay:
        simulator.shifts = shifts
    return pay


def _damage(
    simulator: Simulator, fastest: Mapping[str, str], probes: Sequence[Tensor], reporter: Reporter
) -> dict[str, dict[str, Damage]]:
    """What each layer alone costs in its fastest form; in milder ones too where it costs enough to be changed early."""
    total = len(probes) * len(fastest)
    with reporter.stage(f"try {len(fastest)} layers alone") as tick:
        known = measure(
            simulator, {name: [scheme] for name, scheme in fastest.items()}, probes, lambda n: tick(n, total)
        )
    worst = {name: own[fastest[name]].worst for name, own in known.items()}
    dear = [name for name in worst if worst[name] >= TRIFLE * sum(worst.values())]
    milder = {name: candidates(simulator.layers[name].kind)[1:] for name in dear}
    total = len(probes) * sum(map(len, milder.values()))
    with reporter.stage(f"try milder forms of {len(milder)}") as tick:
        more = measure(simulator, milder, probes, lambda n: tick(n, total))
    return {name: {**own, **more.get(name, {})} for name, own in known.items()}
