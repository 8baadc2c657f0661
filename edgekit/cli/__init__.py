"""The command line: parse, call one library function, print. Nothing else."""

from __future__ import annotations

import click

from edgekit.cli.groups import LazyGroup
from edgekit.support import interrupt
from edgekit.support.version import VERSION

__all__ = ["COMMANDS", "cli", "main"]

# Of each command its module's name here and its line in the list, which loads no module.
COMMANDS = {
    "Make a model": {
        "export": "Export a model to phones and verify the files.",
        "quantize": "Make a quantization plan, which export follows.",
        "distill": "Train a small model, taught by a larger one.",
    },
    "Release": {
        "init": "Write a project around a model, with its CI.",
        "package": "Make bundles for iOS, Android, the web and others.",
        "sign": "Sign a release, so that others can verify who made it.",
        "verify": "Verify a release: signature, hashes, documents, self-test.",
    },
    "Check and measure": {
        "run": "Embed a few images with an exported model.",
        "parity": "Compare an exported model with the original.",
        "bench": "Measure latency here or on phones, and compare results.",
        "golden": "Check the image preprocessing of an app.",
        "setup": "Get an emulated arm64 machine ready.",
    },
    "Evaluate and decide": {
        "embed": "Embed a whole data set into a Parquet file.",
        "evaluate": "Judge embeddings: retrieval, texts, drift, a new model.",
        "compare": "Compare models in quality, latency, size and cost.",
        "demo": "Write a page that searches photos in a browser.",
        "experiment": "Plan and analyze A/B tests, and judge canary releases.",
    },
    "Data": {
        "backbones": "List backbones that suit phones.",
        "catalog": "Write the synthetic product catalogue as images.",
        "schema": "Print the JSON Schema of a file format.",
        "completion": "Print the completion script of a shell.",
    },
}


@click.group(
    cls=LazyGroup,
    sections=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True},
)
@click.version_option(VERSION, prog_name="edgekit")
def cli() -> None:
    """Export image-embedding backbones from PyTorch to phones, and verify that nothing is lost on the way.

    Exit codes: 0 done, 1 unexpected, 2 usage, 3 unreadable input, 4 model, 5 parity gate missed, 6 parity inconclusive,
    7 hash mismatch or refused, 8 cannot write, 9 package missing, 10 training stopped, 11 device lost or silent,
    12 slower than the baseline, 13 drift, 15 experiment with wrong sizes of arms, 16 canary: stop, 17 canary: wait,
    18 release over its budget, 130 interrupted.
    """


def main() -> None:
    """The `edgekit` entry point."""
    interrupt.listen()
    cli(prog_name="edgekit")
