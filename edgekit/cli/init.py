"""`edgekit init`: write the skeleton of a project, and say what to do next."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from edgekit.cli.console import print_json
from edgekit.cli.errors import Command
from edgekit.cli.options import FOLDER, common, complete_model, reporter_of
from edgekit.support.progress import table

__all__ = ["init"]


@click.command(cls=Command)
@click.argument("folder", type=FOLDER, metavar="[DIR]", default=Path())
@click.option(
    "--model",
    metavar="MODEL",
    shell_complete=complete_model,
    help="Model of the project: a recipe, a timm name, hf-hub:ORG/NAME or package.module:factory.  [default: the "
    "bundled catalog-s0]",
)
@click.option("--name", metavar="NAME", help="Name of the model in the project.  [default: that of MODEL]")
@common
def init(folder: Path, model: str | None, name: str | None, as_json: bool, quiet: bool) -> None:
    """Write a project around a model into DIR: its recipe, tests, a Makefile, and a workflow for GitHub Actions.

    The workflow lints, tests, exports, compares, measures and packages each change, and signs a release for each tag.
    Files that are there already are never changed.

    \b
    edgekit init shop-embedder --model my_recipe.toml
    cd shop-embedder && make export
    """
    from edgekit import ProjectRequest, write_project

    result = write_project(ProjectRequest(folder, model, name), reporter_of(quiet or as_json))
    if as_json:
        print_json({"folder": str(result.folder), "recipe": str(result.recipe), "files": list(result.files)})
        return
    table("Project", ("file", "where"), [(name, str(result.folder / name)) for name in result.files])
    click.echo(f"next: make -C {shlex.quote(str(result.folder))} export")
