"""`edgekit run`: embed images, and print or save the embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.console import print_json
from edgekit.cli.errors import Command
from edgekit.cli.options import PATH, allow_bare, common, reporter_of
from edgekit.support.progress import table

if TYPE_CHECKING:
    from edgekit.artifact.embeddings import Embeddings

__all__ = ["run"]

_SHOWN_VALUES = 4


@click.command(cls=Command)
@click.argument("artifact", type=PATH)
@click.argument("images", type=PATH, nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--out",
    type=PATH,
    metavar="FILE",
    help="Save the embeddings to this .npy, .csv or .json file instead of printing them.",
)
@allow_bare
@common
def run(
    artifact: Path, images: tuple[Path, ...], out: Path | None, allow_bare: bool, as_json: bool, quiet: bool
) -> None:
    """Embed images with ARTIFACT on this machine.

    ARTIFACT is a folder that `edgekit export` published, or the file in it. IMAGE is a file, or a folder of
    images. Where there is no Core ML, EdgeKit's reference runtime runs the .mlpackage.
    """
    from edgekit.artifact import embeddings

    result = embeddings.run(artifact, images, reporter_of(quiet or as_json), allow_bare=allow_bare)
    if out is not None:
        embeddings.save(result, out)
    _show_embeddings(result, out, as_json=as_json)


def _show_embeddings(result: Embeddings, out: Path | None, *, as_json: bool) -> None:
    """Embeddings of images, or where they were saved."""
    if as_json:
        values = None if out is not None else [[float(value) for value in row] for row in result.values]
        print_json(
            {
                "runtime": result.runtime,
                "reference": result.reference,
                "images": result.names,
                "skipped": [{"image": name, "reason": reason} for name, reason in result.skipped],
                "left_out": result.left_out.facts(),
                "saved": str(out) if out is not None else None,
                "embeddings": values,
            }
        )
        return
    nearest = result.nearest()
    rows = [
        (name, f"{row.shape[0]}", " ".join(f"{value:+.4f}" for value in row[:_SHOWN_VALUES]) + " ...", near)
        for name, row, near in zip(result.names, result.values, nearest, strict=True)
    ]
    table(
        f"Embeddings ({result.runtime})", ("image", "values", "first values", "nearest image"), rows, right=("values",)
    )
    for name, reason in result.skipped:
        click.echo(f"skipped {name}: {reason}", err=True)
    if out is not None:
        click.echo(f"saved {len(result.names)} embeddings to {out}")
