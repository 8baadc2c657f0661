"""Data sets that a student learns from: one file a kind, all with the same few verbs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit.distillation.sources.base import Source
from edgekit.distillation.sources.catalog import CatalogSource
from edgekit.distillation.sources.folder import FolderSource
from edgekit.distillation.sources.shards import ShardSource
from edgekit.distillation.sources.table import TableSource
from edgekit.recipe.training import DataSpec
from edgekit.support.progress import Reporter

__all__ = ["Source", "open_source", "tell_left_out"]


def open_source(spec: DataSpec) -> Source:
    """The data set that `spec` describes.

    Raises:
        InputError: it is missing, empty or damaged, or a column is not there.
        UsageError: it cannot give what is asked of it.
    """
    if spec.catalog is not None:
        return CatalogSource(spec.name, spec.catalog, spec.labels)
    if spec.folder is not None:
        return FolderSource(spec.name, spec.folder, spec.folders, spec.labels)
    if spec.table is not None:
        root = spec.root if spec.root is not None else Path(spec.table).parent
        return TableSource(spec.name, spec.table, root, path=spec.path, listing=spec.listing, labels=spec.labels)
    assert spec.shards is not None
    return ShardSource(spec.name, spec.shards, listing=spec.listing, labels=spec.labels)


def tell_left_out(sources: Sequence[Source], reporter: Reporter) -> None:
    """Say which images of the data sets are of kinds that are not read here."""
    for source in sources:
        if source.left_out.names:
            reporter.note(source.left_out.line(f"data {source.name}"))
