"""The row of a layer in a plan: its scheme, and by target the nearest form where a runtime has no such thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.quantization.layers import WEIGHTED, Layer, unlike_neighbours
from edgekit.quantization.plan import FEW_BITS, Asked, LayerPlan, Scheme, nearest_forms
from edgekit.quantization.search import weights_only

if TYPE_CHECKING:
    from edgekit.quantization.auto import Choice

__all__ = ["layer_row", "searched_row", "uniform_row"]

# The scheme that was asked for -> what a kind of layer gets. Kinds that are not named keep float.
_BY_KIND: dict[Asked, dict[str, Scheme]] = {
    "w8a8": dict.fromkeys((*WEIGHTED, "add", "mul", "sigmoid", "mean", "pool"), "w8a8"),
    "w8a8-dynamic": {"linear": "w8a8-dynamic", "conv": "w8a8-dynamic", "depthwise": "w8"},
    "w8": dict.fromkeys(WEIGHTED, "w8"),
    "palette6": dict.fromkeys(WEIGHTED, "palette6"),
    "palette4": dict.fromkeys(WEIGHTED, "palette4"),
    "w4": dict.fromkeys(WEIGHTED, "w4"),
}


def layer_row(layer: Layer, scheme: Scheme) -> LayerPlan:
    """A layer under a scheme that its kind has, and what stands for it where a target has no such form."""
    forms = nearest_forms(scheme, layer.kind)
    dynamic = forms.get("executorch", scheme) == "w8a8-dynamic"
    if layer.kind == "conv" and dynamic and (weights_only(layer) == "float" or unlike_neighbours(layer)):
        forms["executorch"] = "float"
    return LayerPlan(name=layer.name, kind=layer.kind, scheme=scheme, targets=forms)


def uniform_row(layer: Layer, asked: Asked) -> LayerPlan:
    """A layer of a plan in which all have one scheme, as far as their kinds have it."""
    own = _BY_KIND.get(asked, {}).get(layer.kind)
    why = None
    if own is None:
        why = f"{asked} has no form for {layer.kind}"
    elif own in FEW_BITS and weights_only(layer) == "float":
        why = "so few weights save nothing"
    if own is None or why is not None:
        return LayerPlan(name=layer.name, kind=layer.kind, scheme="float", why=why)
    return layer_row(layer, own)


def searched_row(layer: Layer, choice: Choice) -> LayerPlan:
    """A layer of a plan that was searched for."""
    own = choice.schemes[layer.name]
    row = layer_row(layer, own)
    targets = dict(row.targets)
    if own == "w8" and "executorch" in targets:
        targets["executorch"] = "float"  # dynamic activations are what the search avoided
    if own == "w8a8":
        # No machine here can tell on which phones static activations are faster.
        targets["coreml"] = weights_only(layer)
        if not choice.integers_pay:
            targets["onnx"] = weights_only(layer)
    damage = {scheme: round(found.worst, 8) for scheme, found in choice.damage.get(layer.name, {}).items()}
    return row.model_copy(update={"targets": targets, "why": choice.why.get(layer.name), "damage": damage})
