"""`edgekit embed`: embed many images into a file, and print what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import print_facts, print_json
from edgekit.cli.errors import Command
from edgekit.cli.options import PATH, allow_bare, common, complete_model, reporter_of, workers_option
from edgekit.support.text import human_size

if TYPE_CHECKING:
    from edgekit.embedding.run import EmbedResult

__all__ = ["embed"]

_NAMED = 3  # skipped images


@click.command(cls=Command)
@click.argument("data")
@click.option(
    "--with",
    "model",
    required=True,
    metavar="MODEL|ARTIFACT",
    help="What embeds: an exported file or its folder, a recipe, a timm name, hf-hub:ORG/NAME or "
    "package.module:factory.",
    shell_complete=complete_model,
)
@click.option("--out", type=PATH, required=True, metavar="FILE", help="The .parquet file to write.")
@click.option(
    "--dtype",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    help="How values are stored. int8: 127 times the value, rounded.",
)
@workers_option
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    help="Where the processes run: on this machine, or on the Ray cluster that RAY_ADDRESS names.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace FILE, and what a stopped run of other data or of another model has left beside it.",
)
@allow_bare
@common
def embed(as_json: bool, quiet: bool, **options: Any) -> None:
    """Embed all images of DATA into a Parquet file.

    DATA is a folder of images, a .csv or .parquet table with the columns id and path (or image), tar shards of
    WebDataset as shards-{000..009}.tar or their folder, or catalog:2000 for so many photos of the synthetic catalogue.

    A run that was killed goes on where it was when the same command is given again.
    """
    from edgekit.embedding.run import EmbedRequest
    from edgekit.embedding.run import embed as embed_all

    result = embed_all(EmbedRequest(**options), reporter_of(quiet or as_json))
    _show(result, as_json=as_json)


def _show(result: EmbedResult, *, as_json: bool) -> None:
    """What was written, what was left out, and how fast it went."""
    size = Path(result.out).stat().st_size
    if as_json:
        print_json(
            {
                "out": str(result.out),
                "bytes": size,
                "images": result.images,
                "rows": result.rows,
                "resumed": result.resumed,
                "skipped": [{"image": name, "reason": reason} for name, reason in result.skipped],
                "left_out": result.left_out.facts(),
                "seconds": round(result.seconds, 3),
                "images_per_second": round(result.images_per_second, 3),
                "about": result.about.model_dump(mode="json"),
            }
        )
        return
    about = result.about
    resumed = {"taken from the stopped run": f"{result.resumed} images"} if result.resumed else {}
    print_facts(
        "Embeddings",
        {
            "rows": f"{result.rows} of {about.dim} values, {about.dtype}",
            "skipped": len(result.skipped),
            **resumed,
            "images/s": f"{result.images_per_second:.1f}",
            "model": f"{about.model.name} ({about.model.kind}, {about.model.runtime})",
            "file": result.out,
            "size": human_size(size),
        },
    )
    for name, reason in result.skipped[:_NAMED]:
        click.echo(f"skipped {name}: {reason}", err=True)
    if (more := len(result.skipped) - _NAMED) > 0:
        click.echo(f"skipped {more} more; --json names all", err=True)
