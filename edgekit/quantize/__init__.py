"""Quantize once: a plan for the exported program, followed by every target."""

from __future__ import annotations

from edgekit.quantize.apply import apply
from edgekit.quantize.make import QuantizeRequest, QuantizeResult, quantize
from edgekit.quantize.plan import SCHEMES, Plan, read_plan

__all__ = ["SCHEMES", "Plan", "QuantizeRequest", "QuantizeResult", "apply", "quantize", "read_plan"]
