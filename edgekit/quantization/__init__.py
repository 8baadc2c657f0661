"""Quantize once: a plan for the exported program, followed by every target."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.quantization.make import PlanResult, QuantizeRequest, QuantizeResult, plan_of, quantize
    from edgekit.quantization.plan import Asked, Plan
    from edgekit.quantization.quantizer import apply
    from edgekit.quantization.schemes import SCHEMES
    from edgekit.quantization.settings import Settings
    from edgekit.quantization.store import read_plan

__all__ = [
    "SCHEMES", "Asked", "Plan", "PlanResult", "QuantizeRequest", "QuantizeResult", "Settings", "apply", "plan_of",
    "quantize", "read_plan",
]  # fmt: skip

# The table of schemes is read by the command line's help, for which PyTorch is too slow to import.
_HOMES = {
    **dict.fromkeys(("PlanResult", "QuantizeRequest", "QuantizeResult", "plan_of", "quantize"), "make"),
    **{"Asked": "plan", "Plan": "plan", "SCHEMES": "schemes", "Settings": "settings"},
    **{"apply": "quantizer", "read_plan": "store"},
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
