"""The row of a layer in a plan: its scheme, and by target the nearest form where a runtime has no such thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.quantization.layers import Layer, large, unlike_neighbours
from edgekit.quantization.plan import LayerPlan
from edgekit.quantization.schemes import SCHEMES, WEIGHTS_ONLY, nearest_forms

if TYPE_CHECKING:
    from edgekit.quantization.auto import Choice

__all__ = ["layer_row", "searched_row", "uniform_row"]


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
    why = None
    if own is None:
        why = f"{asked} has no form for {layer.kind}"
    elif SCHEMES[own].coded and not large(layer):
        why = "so few weights save nothing"
    if own is None or why is not None:
        return LayerPlan(name=layer.name, kind=layer.kind, scheme="float", why=why)
    return layer_row(layer, own)


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
        targets["coreml"] = weights_only
        if not choice.integers_pay:
            targets["onnx"] = weights_only
    damage = {scheme: round(alone.worst, 8) for scheme, alone in choice.damage.get(layer.name, {}).items()}
    return row.model_copy(update={"targets": targets, "why": choice.why.get(layer.name), "damage": damage})
