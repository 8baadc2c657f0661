"""A synthetic product catalogue, rendered from a seed: the data set that EdgeKit carries with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.data.catalog.catalog import RENDERER, Catalog, Listing, Photo
    from edgekit.data.catalog.writer import write_catalog

__all__ = ["RENDERER", "Catalog", "Listing", "Photo", "write_catalog"]


def __getattr__(name: str) -> Any:
    if name == "write_catalog":
        from edgekit.data.catalog.writer import write_catalog

        return write_catalog
    if name in __all__:
        from edgekit.data.catalog import catalog

        return getattr(catalog, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
