"""The range of each static tensor: from what calibration saw, by one observer or by the best for that tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from edgekit.quantize.observers import OBSERVERS
from edgekit.quantize.plan import TensorPlan

if TYPE_CHECKING:
    from torch import Tensor

    from edgekit.quantize.calibrate import Histogram
    from edgekit.quantize.simulate import Simulator

__all__ = ["best_ranges", "plan_tensor", "plan_tensors"]

_LEVELS = 255
_IMAGE = (0.0, 255.0)


def plan_tensors(seen: Mapping[str, Histogram], observer: str) -> dict[str, TensorPlan]:
    """The integers of every tensor by one observer; a tensor that never leaves zero has none, and is left out."""
    found = {name: plan_tensor(histogram, observer, name == "image") for name, histogram in seen.items()}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def plan_tensor(seen: Histogram, observer: str, image: bool) -> TensorPlan | None:
    """The integers of a tensor, zero always exact; None where it never leaves zero."""
    low, high = _IMAGE if image else OBSERVERS[observer](seen.counts, seen.low, seen.high)
    low, high = min(low, 0.0), max(high, 0.0)
    if high == low:
        return None
    scale = (high - low) / _LEVELS
    zero = round(-128 - low / scale)
    return TensorPlan(low=low, high=high, scale=scale, zero_point=zero, seen=(seen.low, seen.high), observer=observer)


def best_ranges(
    simulator: Simulator,
    seen: Mapping[str, Histogram],
    images: Sequence[Tensor],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, TensorPlan]:
    """For each tensor the range of that observer under which rounding it alone costs the embedding least.

    Args:
        simulator: of the prepared program.
        seen: histograms by name of tensor.
        images: float32 [1,3,H,W] each, better hard ones: there a range that clips shows.
        progress: told the number of trials so far, and of all.
    """
    by_range: dict[str, dict[tuple[float, float], TensorPlan]] = {}
    for observer in OBSERVERS:
        for name, tensor in plan_tensors(seen, observer).items():
            by_range.setdefault(name, {}).setdefault((tensor.low, tensor.high), tensor)
    trials = [(name, key) for name, options in by_range.items() if len(options) > 1 for key in options]
    damage = dict.fromkeys(trials, 0.0)
    done, total = 0, len(trials) * len(images)
    for image in images:
        original = simulator.hold(image)
        for name, key in trials:
            now = simulator.embed_held_tensor(image, name, by_range[name][key])
            damage[name, key] += max(0.0, 1 - float((now * original).sum()))
            done += 1
            progress(done, total)
    return {
        name: options[min(options, key=lambda key: damage.get((name, key), 0.0))] for name, options in by_range.items()
    }
