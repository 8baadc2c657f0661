"""The command line: parse, call one library function, print. Nothing else."""

from __future__ import annotations

import click

from edgekit.cli import bench, data, models
from edgekit.cli.shared import Group
from edgekit.support import interrupt
from edgekit.support.version import VERSION

__all__ = ["cli", "main"]


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, prog_name="edgekit")
def cli() -> None:
    """Image-embedding backbones from PyTorch to phones, and proof that nothing was lost on the way.

    \b
    Exit codes: 0 done, 1 unexpected, 2 usage, 3 unreadable input, 4 model, 5 parity gate missed,
    6 parity inconclusive, 7 hash mismatch, 8 cannot write, 9 package missing, 10 training stopped,
    11 device lost or silent, 12 slower than the baseline, 130 interrupted.
    """


for _command in (
    models.export,
    models.quantize,
    models.distill,
    models.run,
    models.parity,
    models.backbones,
    bench.bench,
    data.golden,
    data.catalog,
    data.schema,
    data.completion,
):
    cli.add_command(_command)


def main() -> None:
    """The `edgekit` entry point."""
    interrupt.listen()
    cli(prog_name="edgekit")
