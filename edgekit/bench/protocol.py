"""What the apps on phones are told to do: a folder with `job.json` (`edgekit.job/1`), the model and its golden pair."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from edgekit.bench import schema as s
from edgekit.bench.facts import model_of
from edgekit.bench.golden import TOLERANCE, Golden

if TYPE_CHECKING:
    from edgekit.artifact.open import Artifact
    from edgekit.bench.request import BenchRequest

__all__ = ["COMPUTE_UNITS", "FILES", "SCHEMA", "AppJob", "ComputeUnits", "job_of", "write_job"]

SCHEMA: Literal["edgekit.job/1"] = "edgekit.job/1"
JOB, INPUTS, GOLDEN, RESULT = "job.json", "inputs.bin", "golden.bin", "result.json"
FILES = (JOB, INPUTS, GOLDEN)  # beside the model
ComputeUnits = Literal["all", "cpuAndNeuralEngine", "cpuAndGPU", "cpuOnly"]
COMPUTE_UNITS: tuple[ComputeUnits, ...] = ("all", "cpuAndNeuralEngine", "cpuAndGPU", "cpuOnly")
_FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
_Pixels = Annotated[int, Field(ge=1, le=65_536)]


class AppJob(BaseModel):
    """`job.json`. Names of files are of its own folder; the Android app also takes each key by `-e KEY VALUE`."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        alias_generator=lambda name: name.rstrip("_").replace("_", "-"),
        serialize_by_alias=True,
        validate_by_name=True,
        json_schema_serialization_defaults_required=True,
    )

    schema_: Literal["edgekit.job/1"] = SCHEMA
    run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    model: _FileName
    format: Literal["coreml", "executorch", "onnx"]
    facts: s.Model = Field(description="Copied into the result as its `model`.")
    inputs: _FileName = INPUTS
    golden: _FileName = GOLDEN
    count: Annotated[int, Field(ge=1, le=100_000)] = Field(
        description="Images in `inputs`, uint8 RGB [count,height,width,3], and rows in `golden`."
    )
    height: _Pixels
    width: _Pixels
    dim: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        description="Of an embedding; `golden` is float32 little-endian [count,dim]."
    )
    layout: Literal["nchw", "nhwc_u8"] = Field(description="float32 [1,3,H,W] of 0-255, or uint8 [1,H,W,3].")
    warmup: Annotated[int, Field(ge=0, le=s.MAX_SAMPLES)]
    iterations: Annotated[int, Field(ge=1, le=s.MAX_SAMPLES)]
    duration: Annotated[float, Field(ge=0, le=86_400)] = Field(description="Seconds, at least.")
    threads: Annotated[int, Field(ge=1, le=256)]
    min_cosine: Annotated[float, Field(ge=-1, le=1)] = TOLERANCE
    compute_units: ComputeUnits | None = Field(None, description="Of Core ML.")
    out: _FileName = RESULT


def job_of(
    artifact: Artifact, golden: Golden, request: BenchRequest, run_id: str, units: ComputeUnits | None = None
) -> AppJob:
    """The job of measuring `artifact` as `request` says."""
    facts, manifest = model_of(artifact), artifact.manifest
    count, height, width = golden.images.shape[:3]
    return AppJob(
        run_id=run_id,
        model="model" + artifact.path.suffix,
        format=facts.format,
        facts=facts,
        count=count,
        height=height,
        width=width,
        dim=golden.embeddings.shape[1],
        layout="nhwc_u8" if manifest is not None and manifest.input.dtype == "uint8" else "nchw",
        warmup=request.warmup,
        iterations=request.min_iterations,
        duration=request.min_duration_s,
        threads=request.threads or 1,
        compute_units=units,
    )


def write_job(folder: Path, job: AppJob, model: Path, golden: Golden) -> None:
    """Put the job and all that it names into `folder`, which is there."""
    (shutil.copytree if model.is_dir() else shutil.copyfile)(model, folder / job.model)
    (folder / job.inputs).write_bytes(np.ascontiguousarray(golden.images).tobytes())
    (folder / job.golden).write_bytes(np.ascontiguousarray(golden.embeddings, "<f4").tobytes())
    (folder / JOB).write_text(json.dumps(job.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
