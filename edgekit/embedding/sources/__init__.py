"""Data to embed: one file a kind, all with the same few verbs, and the table that tells them apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from edgekit.embedding.sources.base import Item, Photo, Source
from edgekit.embedding.sources.catalog import CatalogSource, is_catalog
from edgekit.embedding.sources.folder import FolderSource
from edgekit.embedding.sources.shards import ShardSource, is_shards
from edgekit.embedding.sources.table import TableSource, is_table
from edgekit.errors import InputError
from edgekit.support.text import shown

__all__ = ["KINDS", "Item", "Kind", "Photo", "Source", "open_source"]


class Kind(NamedTuple):
    """A kind of data: whether a text names such, and what opens it."""

    matches: Callable[[str], bool]
    open: Callable[[str], Source]


# The first that matches is taken.
KINDS: list[Kind] = [
    Kind(is_catalog, CatalogSource),
    Kind(is_table, TableSource),
    Kind(is_shards, ShardSource),
    Kind(lambda text: Path(text).is_dir(), FolderSource),
]


def open_source(data: str) -> Source:
    """The photos that `data` names: a folder, a table, tar shards, or the catalogue.

    Raises:
        InputError: it is missing, empty or damaged, or an id is missing or there twice.
        UsageError: it asks for what there is not.
    """
    kind = next((kind for kind in KINDS if kind.matches(data)), None)
    if kind is None:
        state = "is none of these" if Path(data).exists() else "does not exist"
        raise InputError(
            f"{shown(data)}: {state}; give a folder of images, a .csv or .parquet table, .tar shards, or catalog:2000",
            field="data",
        )
    return kind.open(data)
