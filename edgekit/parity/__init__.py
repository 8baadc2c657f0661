"""Parity: are the written file's embeddings those of the original model?"""

from __future__ import annotations

from edgekit.parity.check import Picture, Reference, check, compare, embed_original
from edgekit.parity.plain import held_on_plain, plain_images
from edgekit.parity.report import ParityReport, RecallFigures, Retrieval, Verdict
from edgekit.parity.steps import losing_step
from edgekit.recipe.gates import Gates

__all__ = [
    "Gates",
    "ParityReport",
    "Picture",
    "RecallFigures",
    "Reference",
    "Retrieval",
    "Verdict",
    "check",
    "compare",
    "embed_original",
    "held_on_plain",
    "losing_step",
    "plain_images",
]
