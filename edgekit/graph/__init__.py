"""torch.export and the rewrites: numerically equal changes of a program that a mobile runtime runs faster."""

from __future__ import annotations

from edgekit.graph.capture import capture
from edgekit.graph.rewrites import PREPARATION, REWRITES, SPECIALIZE, Rewrite, prepare, rewrite, rows_of, specialize
from edgekit.graph.selfcheck import Checked, LeftOut, Probe, checked, probe, run_program

__all__ = [
    "PREPARATION",
    "REWRITES",
    "SPECIALIZE",
    "Checked",
    "LeftOut",
    "Probe",
    "Rewrite",
    "capture",
    "checked",
    "prepare",
    "probe",
    "rewrite",
    "rows_of",
    "run_program",
    "specialize",
]
