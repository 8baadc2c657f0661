"""`edgekit catalog`: write the synthetic product catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import print_facts, print_json
from edgekit.cli.errors import Command
from edgekit.cli.options import FOLDER, common, reporter_of

__all__ = ["catalog"]


@click.command(cls=Command)
@click.argument("out", type=FOLDER)
@click.option(
    "--listings",
    type=click.IntRange(1, 10_000_000),
    metavar="N",
    default=100,
    show_default=True,
    help="Number of products on sale.",
)
@click.option(
    "--photos",
    type=click.IntRange(1, 64),
    metavar="N",
    default=2,
    show_default=True,
    help="Number of photos of each listing, a seller's and a buyer's in turn.",
)
@click.option(
    "--size",
    type=click.IntRange(16, 2048),
    metavar="PIXELS",
    default=224,
    show_default=True,
    help="Width and height of a photo in pixels.",
)
@click.option(
    "--split",
    type=click.Choice(["train", "test"]),
    default="test",
    show_default=True,
    help="Which half of the catalogue. No listing is in both.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Seed of the catalogue. The same options give the same images.",
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
