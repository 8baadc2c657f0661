"""`edgekit setup`: get ready what a command needs that pip cannot install."""

from __future__ import annotations

import click

from edgekit.cli.console import print_json
from edgekit.cli.errors import Command
from edgekit.cli.options import common, reporter_of
from edgekit.support.progress import table

__all__ = ["setup"]


@click.command(cls=Command)
@click.argument("machine", type=click.Choice(["arm64"]))
@common
def setup(machine: str, as_json: bool, quiet: bool) -> None:
    """Get the emulated arm64 MACHINE ready, on which `--on arm64` runs files.

    It downloads the arm64 wheels of the installed runtimes with pip, and builds the native runner. Everything goes
    into the user's cache. It needs qemu's user mode and a compiler for arm64; without them it says what to install.
    """
    from edgekit.bench.drivers.arm64.machine import set_up

    made = set_up(reporter_of(quiet or as_json))
    if as_json:
        print_json({"machine": machine, "folder": str(made.folder), "runtimes": dict(made.versions)})
    else:
        table("Runtimes for arm64", ("format", "version"), sorted(made.versions.items()))
        click.echo(made.folder)
