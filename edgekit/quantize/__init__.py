"""Quantize once: a plan for the exported program, followed by every target."""

from __future__ import annotations

from edgekit.quantize.apply import apply
from edgekit.quantize.make import QuantizeRequest, QuantizeResult, plan_of, quantize
from edgekit.quantize.plan import SCHEMES, Asked, Plan, read_plan
from edgekit.quantize.settings import Settings

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
