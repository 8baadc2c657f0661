"""`edgekit schema`: print the JSON Schema of a file that EdgeKit writes or reads."""

from __future__ import annotations

import click

from edgekit.cli.console import print_json
from edgekit.cli.errors import Command

__all__ = ["schema"]


@click.command(cls=Command)
@click.argument(
    "name", type=click.Choice(["bench", "embeddings", "golden", "job", "manifest", "parity", "plan", "recipe"])
)
def schema(name: str) -> None:
    """Print the JSON Schema of a file that EdgeKit writes or reads."""
    from pydantic import BaseModel

    from edgekit.artifact.manifest import Manifest
    from edgekit.bench.preprocessing import GoldenFolder
    from edgekit.bench.protocol import AppJob
    from edgekit.bench.schema import Result
    from edgekit.embedding.about import About
    from edgekit.parity.report import ParityReport
    from edgekit.quantization import Plan
    from edgekit.recipe import Recipe

    documents: dict[str, type[BaseModel]] = {
        "bench": Result,
        "embeddings": About,
        "golden": GoldenFolder,
        "job": AppJob,
        "manifest": Manifest,
        "parity": ParityReport,
        "plan": Plan,
        "recipe": Recipe,
    }
    print_json(documents[name].model_json_schema(mode="serialization" if name == "job" else "validation"))
