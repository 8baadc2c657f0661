"""A synthetic product catalogue, rendered from a seed: the data set that EdgeKit carries with it."""

from edgekit.data.catalog.catalog import RENDERER, Catalog, Listing, Photo
from edgekit.data.catalog.writer import write_catalog

__all__ = ["RENDERER", "Catalog", "Listing", "Photo", "write_catalog"]
