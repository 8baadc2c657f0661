"""The range of each static tensor: from what calibration saw, by one observer or by the best for that tensor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from torch import Tensor

from edgekit.quantization.calibrate import Histogram
from edgekit.quantization.observers import OBSERVERS
from edgekit.quantization.plan import TensorPlan
from edgekit.quantization.simulate import Simulator
from edgekit.support.threads import in_turn

__all__ = ["best_ranges", "plan_tensors", "tie"]

_Bounds = tuple[float, float]
_LEVELS = 255
_FEW = 2  # images on which every observer's range is tried; the two best are tried on all
_PIXELS = (0.0, 255.0)


def plan_tensors(seen: Mapping[str, Histogram], observer: str) -> dict[str, TensorPlan]:
    """The integers of every tensor by one observer; a tensor that never leaves zero has none, and is left out."""
    planned = {name: _plan_tensor(histogram, observer) for name, histogram in seen.items()}
    return {name: tensor for name, tensor in planned.items() if tensor is not None}


def _plan_tensor(seen: Histogram, observer: str) -> TensorPlan | None:
    """The integers of a tensor, zero always exact; None where it never leaves zero."""
    low, high = _PIXELS if seen.pixels else OBSERVERS[observer](seen.counts, seen.low, seen.high)
    low, high = min(low, 0.0), max(high, 0.0)
    if high == low:
        return None
    scale = (high - low) / _LEVELS
    zero = round(-128 - low / scale)
    return TensorPlan(low=low, high=high, scale=scale, zero_point=zero, seen=(seen.low, seen.high), observer=observer)


def tie(seen: Mapping[str, Histogram], groups: Iterable[set[str]]) -> dict[str, Histogram]:
    """The same histograms, but one for all tensors of a group: that which spans most."""
    tied = dict(seen)
    for group in groups:
        members = sorted(group & set(seen))
        if members:
            widest = max(members, key=lambda name: seen[name].high - seen[name].low)
            tied.update(dict.fromkeys(members, seen[widest]))
    return tied


def best_ranges(
    simulator: Simulator,
    seen: Mapping[str, Histogram],
    images: Sequence[Tensor],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, TensorPlan]:
    """For each tensor the range of that observer under which rounding it alone costs the embedding least.

    Tensors that share a histogram get one range, the best for them together.

    Args:
        simulator: of the prepared program.
        seen: histograms by name of tensor.
        images: float32 [1,3,H,W] each, better hard ones: there a range that clips shows.
        progress: called with the number of trials so far, and of all.
    """
    planned = [plan_tensors(seen, observer) for observer in OBSERVERS]
    options = {
        name: {(tensors[name].low, tensors[name].high): tensors[name] for tensors in reversed(planned)}
        for name in planned[0]
    }
    damage: dict[tuple[int, _Bounds], float] = defaultdict(float)
    left = {name: list(own) for name, own in options.items() if len(own) > 1}
    done, total = 0, sum(map(len, left.values())) * min(_FEW, len(images)) + 2 * len(left) * len(images[_FEW:])

    def best(name: str, among: Iterable[_Bounds]) -> list[_Bounds]:
        return sorted(among, key=lambda key: damage[id(seen[name]), key])

    def embed(trial: tuple[str, _Bounds]) -> Tensor:
        return simulator.embed_held_tensor(trial[0], options[trial[0]][trial[1]])

    for number, image in enumerate(images):
        if number == _FEW:
            left = {name: best(name, own)[:2] for name, own in left.items()}
        original = simulator.hold(image)
        trials = [(name, key) for name, own in left.items() for key in own]
        for (name, key), now in zip(trials, in_turn(embed, trials), strict=True):
            damage[id(seen[name]), key] += max(0.0, 1 - float((now * original).sum()))
            done += 1
            progress(min(done, total), total)
    return {name: own[best(name, left.get(name, own))[0]] for name, own in options.items()}
