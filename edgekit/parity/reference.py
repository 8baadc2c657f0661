"""What the original makes of the images: computed once, compared with every artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.data.datasets import tell_skipped
from edgekit.parity.check import embed_original

if TYPE_CHECKING:
    from edgekit.data.datasets import Pictures
    from edgekit.model.embedder import Embedder
    from edgekit.parity.check import Reference
    from edgekit.support.progress import Reporter

__all__ = ["reference_of"]

_BATCH = 8


def reference_of(embedder: Embedder, data: Pictures, reporter: Reporter) -> Reference:
    """The original's embeddings of every picture, computed once and compared with every artifact."""
    with reporter.stage(f"embed {len(data)} images with the original") as tick:
        reference = embed_original(embedder.embed, data, progress=tick, batch=_BATCH)
    tell_skipped(data, reporter)
    return reference
