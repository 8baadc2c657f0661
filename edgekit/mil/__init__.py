"""The Core ML reference runtime: opens a saved .mlpackage and runs it on torch, on any platform."""

from __future__ import annotations

from edgekit.mil.lean import import_lean
from edgekit.mil.model import Model, Port, load

__all__ = ["Model", "Port", "import_lean", "load"]
