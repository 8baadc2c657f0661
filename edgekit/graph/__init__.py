"""torch.export and the rewrites: numerically equal changes of a program that a mobile runtime runs faster."""

from __future__ import annotations

from edgekit.graph.capture import capture
from edgekit.graph.rewrites import REWRITES, Rewrite, prepare, rewrite, specialize

__all__ = ["REWRITES", "Rewrite", "capture", "prepare", "rewrite", "specialize"]
