"""Quantize once: a plan for the exported program, followed by every target."""

from __future__ import annotations

from edgekit.quantization.apply import apply
from edgekit.quantization.make import QuantizeRequest, QuantizeResult, plan_of, quantize
from edgekit.quantization.plan import SCHEMES, Asked, Plan, read_plan
from edgekit.quantization.settings import Settings

__all__ = [
    "SCHEMES",
    "Asked",
    "Plan",
    "QuantizeRequest",
    "QuantizeResult",
    "Settings",
    "apply",
    "plan_of",
    "quantize",
    "read_plan",
]
