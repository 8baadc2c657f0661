"""Compare a file with the original on the emulated arm64 machine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekit.artifact.open import open_artifact
from edgekit.bench.drivers.arm64.driver import NAME, Arm64Job
from edgekit.bench.drivers.arm64.embed import embed
from edgekit.bench.drivers.arm64.machine import Machine
from edgekit.bench.golden import Golden
from edgekit.bench.protocol import job_of
from edgekit.bench.request import BenchRequest
from edgekit.errors import InputError
from edgekit.parity.check import compare
from edgekit.parity.judge import Judge
from edgekit.parity.report import ParityReport
from edgekit.recipe.gates import Gates
from edgekit.support.progress import Tick

__all__ = ["emulated_parity"]


def emulated_parity(
    path: Path, machine: Machine, judge: Judge, gates: Gates, tick: Tick, processes: int | None = None
) -> ParityReport:
    """What parity finds in a file that runs on arm64, on the judge's images.

    Raises:
        InputError: the images changed between two readings.
        EdgeKitError: the artifact cannot be opened, or it or the machine fails; as `embed` says.
    """
    artifact = open_artifact(path, allow_bare=True)
    golden = Golden(_images(judge), judge.reference.embeddings)
    asked = job_of(artifact, golden, BenchRequest(artifacts=[path], allow_bare=True), "0" * 32)
    job = Arm64Job(machine=machine, model=artifact.path, golden=golden, asked=asked)
    rows = asyncio.run(embed(job, golden, tick, processes))
    return compare(
        rows,
        judge.reference,
        gates,
        dataset=judge.data.name,
        digest=judge.digest,
        runtime=f"{artifact.runner.runtime} on {NAME}",
        stand_in=False,
    )


def _images(judge: Judge) -> np.ndarray:
    names: Sequence[str] = judge.reference.names
    pictures = list(judge.data)
    if [picture.name for picture in pictures] != list(names):
        raise InputError(
            f"the images of {judge.data.name} changed between two readings; check that no one writes to it"
        )
    return np.stack([picture.image for picture in pictures])
