"""How much each layer alone costs the embedding, under each scheme that it could have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from torch import Tensor

from edgekit.quantization.simulate import Simulator
from edgekit.support.threads import in_turn

__all__ = ["Damage", "measure"]


@dataclass(frozen=True)
class Damage:
    """1 - cosine between the embedding with this one layer quantized and the float one, over the images."""

    mean: float
    worst: float


def measure(
    simulator: Simulator,
    candidates: Mapping[str, Sequence[str]],
    images: Sequence[Tensor],
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, dict[str, Damage]]:
    """The damage of every layer under each of its candidate schemes; layer -> scheme -> damage.

    Args:
        simulator: of the prepared program, with all ranges.
        candidates: by layer name, the schemes to try.
        images: float32 [1,3,H,W] each; one at a time is run in float and held, and each trial starts at its layer.
        progress: called with the number of trials so far, of images times schemes.
    """
    trials = [(name, scheme) for name, schemes in candidates.items() for scheme in schemes]
    lost: dict[tuple[str, str], list[float]] = {trial: [] for trial in trials}
    done = count(1)
    for image in images:
        original = simulator.hold(image)
        for trial, now in zip(trials, in_turn(lambda trial: simulator.embed_held(*trial), trials), strict=True):
            lost[trial].append(max(0.0, 1 - float((now * original).sum())))
            progress(next(done))
    return {
        name: {scheme: Damage(sum(lost[name, scheme]) / len(images), max(lost[name, scheme])) for scheme in schemes}
        for name, schemes in candidates.items()
    }
