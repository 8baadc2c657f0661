"""`edgekit catalog`: write the synthetic product catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import print_facts, print_json
from edgekit.cli.errors import Command
from edgekit.cli.options import FOLDER, Count, common, reporter_of

__all__ = ["catalog"]


@click.command(cls=Command)
@click.argument("out", type=FOLDER)
@click.option(
    "--listings", type=Count(1, 10_000_000), default=100, help="Number of listings; a listing is one product on sale."
)
@click.option(
    "--photos", type=Count(1, 64), default=2, help="Number of photos of each listing, a seller's and a buyer's in turn."
)
@click.option(
    "--size",
    type=click.IntRange(16, 2048),
    metavar="PIXELS",
    default=224,
    help="Width and height of a photo in pixels.",
)
@click.option(
    "--split",
    type=click.Choice(["train", "test"]),
    default="test",
    help="Part of the catalogue to write. No listing is in both.",
)
@click.option(
    "--seed", type=Count(min=0), default=0, help="Seed of the catalogue. The same options give the same images."
)
@common
def catalog(out: Path, as_json: bool, quiet: bool, **options: Any) -> None:
    """Write the synthetic product catalogue to the folder OUT.

    OUT receives one folder of images for each class, and a Parquet table of the listings.
    """
    from edgekit.data.catalog import Catalog, write_catalog

    source = Catalog(**options)
    with reporter_of(quiet or as_json).stage(f"render {len(source)} images") as tick:
        write_catalog(source, out, tick)
    facts = {"folder": str(out), "listings": source.listings, "images": len(source), "sha256": source.digest()}
    if as_json:
        print_json(facts)
    else:
        print_facts("Catalogue", facts)
