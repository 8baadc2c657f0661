"""`edgekit backbones`: print the curated table."""

from __future__ import annotations

import dataclasses

import click

from edgekit.cli.console import print_json
from edgekit.cli.errors import Command
from edgekit.errors import UsageError
from edgekit.support.progress import table

__all__ = ["backbones"]


@click.command(cls=Command)
@click.option("--family", metavar="NAME", help="List only this family, for example MobileViT.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON on stdout.")
def backbones(family: str | None, as_json: bool) -> None:
    """List backbones that suit phones, with size, cost and licence.

    The list is a shortlist: any other timm backbone that takes images of one fixed size is exported in the same way.
    """
    from edgekit.recipe.backbones import table as rows_of

    chosen = [row for row in rows_of() if family is None or row.family.lower() == family.lower()]
    if not chosen:
        families = sorted({row.family for row in rows_of()})
        raise UsageError(f"no family {family!r}; choose from {', '.join(families)}", field="family")
    if as_json:
        print_json([dataclasses.asdict(row) for row in chosen])
        return
    columns = ("name", "family", "params M", "GMACs", "input", "embedding", "weight licence")
    rows = [
        (
            row.name,
            row.family,
            f"{row.params / 1e6:.1f}",
            f"{row.macs / 1e9:.2f}",
            str(row.input_size),
            str(row.embedding),
            row.license,
        )
        for row in chosen
    ]
    table("Backbones", columns, rows, right=columns[2:6])
