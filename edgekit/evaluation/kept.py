"""Embeddings that are kept: made once of data and a model, and taken from their folder where both are the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgekit.embedding.run import EmbedRequest, embed
from edgekit.embedding.sources import Source
from edgekit.recipe import Recipe
from edgekit.support.fields import AnyPath
from edgekit.support.progress import Reporter

__all__ = ["kept_embeddings"]


def kept_embeddings(
    data: str,
    source: Source,
    model: Recipe | AnyPath,
    key: str,
    kept: Path,
    *,
    workers: int | None,
    reporter: Reporter,
    allow_bare: bool = False,
) -> Path:
    """The file of embeddings of `data`, opened as `source`, by a model, which `key` tells from every other.

    Raises:
        EdgeKitError: the photos cannot be embedded.
    """
    facts = f"{key} {source.fingerprint()} {source.name} {list(source.columns)}"
    digest = hashlib.sha256(facts.encode()).hexdigest()
    path = kept / f"{digest[:32]}.parquet"
    if not path.is_file():
        kept.mkdir(parents=True, exist_ok=True)
        embed(EmbedRequest(data=data, model=model, out=path, workers=workers, allow_bare=allow_bare), reporter)
    return path
