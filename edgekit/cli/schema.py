"""`edgekit schema`: print the JSON Schema of a file that EdgeKit writes or reads."""

from __future__ import annotations

from typing import Literal

import click

from edgekit.cli.console import print_json
from edgekit.cli.errors import Command

__all__ = ["schema"]


_NAMES = (
    *("bench", "bisect", "bundle", "comparison", "compatibility", "device-parity", "drift", "embeddings"),
    *("experiment-analyze", "experiment-canary", "experiment-plan", "generative", "golden", "job", "manifest"),
    *("parity", "plan", "recipe", "release", "retrieval", "runtimes"),
)


@click.command(cls=Command)
@click.argument("name", type=click.Choice(_NAMES))
def schema(name: str) -> None:
    """Print the JSON Schema of a file that EdgeKit writes or reads, or of what a command prints with --json."""
    from pydantic import TypeAdapter

    from edgekit.artifact.manifest import Manifest
    from edgekit.bench.parity.document import DeviceParity
    from edgekit.bench.preprocessing import GoldenFolder
    from edgekit.bench.protocol import AppJob
    from edgekit.bench.schema import Result
    from edgekit.bisect.report import BisectReport
    from edgekit.embedding.about import About
    from edgekit.evaluation.compare_report import CompareReport
    from edgekit.evaluation.compatibility import CompatibilityReport
    from edgekit.evaluation.drift_report import DriftReport
    from edgekit.evaluation.generative.report import GenerativeReport
    from edgekit.evaluation.retrieval_report import RetrievalReport
    from edgekit.experiment.canary import CanaryResult
    from edgekit.experiment.plan import ExperimentPlan
    from edgekit.experiment.result import ExperimentResult
    from edgekit.parity.report import ParityReport
    from edgekit.quantization import Plan
    from edgekit.recipe import Recipe
    from edgekit.release.bundle import Bundle, Release
    from edgekit.runtimes.report import RuntimesReport

    documents: dict[str, type[object]] = {
        "bench": Result,
        "bisect": BisectReport,
        "bundle": Bundle,
        "comparison": CompareReport,
        "compatibility": CompatibilityReport,
        "device-parity": DeviceParity,
        "drift": DriftReport,
        "embeddings": About,
        "experiment-analyze": ExperimentResult,
        "experiment-canary": CanaryResult,
        "experiment-plan": ExperimentPlan,
        "generative": GenerativeReport,
        "golden": GoldenFolder,
        "job": AppJob,
        "manifest": Manifest,
        "parity": ParityReport,
        "plan": Plan,
        "recipe": Recipe,
        "release": Release,
        "retrieval": RetrievalReport,
        "runtimes": RuntimesReport,
    }
    mode: Literal["serialization", "validation"] = "serialization" if name == "job" else "validation"
    print_json(TypeAdapter(documents[name]).json_schema(mode=mode))
