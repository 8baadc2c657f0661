"""What the rows look for among the values that a program has on images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.targets.hazards.base import Lowered

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node

__all__ = ["large_in_half", "large_sums"]

_HALF_MAX = 65504.0
_NEAR = _HALF_MAX / 2  # other images go further than the few that were looked at


def large_in_half(lowered: Lowered) -> str | None:
    """Half-precision values beyond half of what half precision holds, on any of the images."""
    if lowered.options.precision != "fp16":
        return None
    wide = lowered.options.float32_calls
    return _worst({node: value for node, value in _largest(lowered).items() if node.name not in wide}, "values")


def large_sums(lowered: Lowered) -> str | None:
    """Sums, also those behind averages, beyond half of what half precision holds, on any of the images."""
    from edgekit.graph.edit import aten, source_of, val

    averages = {aten.mean.dim, aten.mean.default, aten.adaptive_avg_pool2d.default}
    sums = {aten.sum.dim_IntList, aten.sum.default}
    totals = {}
    for node, value in _largest(lowered).items():
        if node.target in averages:
            totals[node] = value * val(source_of(node)).numel() / max(val(node).numel(), 1)
        elif node.target in sums:
            totals[node] = value
    return _worst(totals, "sums")


def _worst(values: dict[Node, float], what: str) -> str | None:
    from edgekit.graph.edit import module_path, op_name

    node = max(values, key=values.__getitem__, default=None)
    if node is None or values[node] <= _NEAR:
        return None
    return f"{what} to {values[node]:.2g} of {op_name(node)} in {module_path(node)}"


def _largest(lowered: Lowered) -> dict[Node, float]:
    """The largest number without sign that each call gives on the images, the embedding's own norm apart."""
    import torch

    from edgekit.graph.half_simulation import Simulation, norm_at_the_end

    if not lowered.images:
        return {}
    (result,) = lowered.program.graph.output_node().args[0]
    simulation = Simulation(lowered.program)
    calls = set(simulation.calls) - norm_at_the_end(result)[1]
    largest: dict[Node, float] = {}
    with torch.inference_mode():
        for image in lowered.images:
            for node, value in simulation.exact(image).items():
                if node in calls and isinstance(value, torch.Tensor) and value.is_floating_point():
                    largest[node] = max(largest.get(node, 0.0), _magnitude(value))
    return largest


def _magnitude(value: Tensor) -> float:
    finite = value[value.isfinite()].abs()
    return float(finite.max()) if finite.numel() else 0.0
