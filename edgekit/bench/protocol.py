"""What the apps on phones are told to do: a folder with `job.json` (`edgekit.job/2`), the model and its golden pair."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast, get_args

from pydantic import ConfigDict, Field

from edgekit.artifact.open import Artifact
from edgekit.bench import schema as s
from edgekit.bench.constants import CONSTANTS
from edgekit.bench.golden import TOLERANCE, Golden, model_of
from edgekit.bench.request import BenchRequest
from edgekit.errors import UsageError
from edgekit.support.documents import Document

__all__ = ["COMPUTE_UNITS", "AppJob", "ComputeUnits", "compute_units_of", "job_of", "write_job"]

JOB: str = CONSTANTS["job_file"]
JOB_FOLDER: str = CONSTANTS["job_folder"]  # in the app's own documents, or below /data/local/tmp
RESULT: str = CONSTANTS["result_file"]
COMPUTE_PLAN: str = CONSTANTS["compute_plan_file"]
ComputeUnits = Literal["all", "cpuAndNeuralEngine", "cpuAndGPU", "cpuOnly"]
COMPUTE_UNITS: tuple[ComputeUnits, ...] = get_args(ComputeUnits)
_FileName = Annotated[str, Field(pattern=f"^{CONSTANTS['file_name_pattern']}$")]
_Inferences = Annotated[int, Field(ge=0, le=CONSTANTS["max_samples"])]


class AppJob(Document):
    """`job.json`: which files of its folder to measure with, and how. The Android app also takes `-e KEY VALUE`."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    STYLE: ClassVar[dict[str, Any]] = {"indent": 1}

    schema_: Literal["edgekit.job/2"] = Field("edgekit.job/2", alias="schema")
    run_id: s.RunId
    model: _FileName
    format: Literal["coreml", "coreai", "executorch", "litert", "onnx"]
    facts: s.Model = Field(description="Copied into the result as its `model`.")
    inputs: _FileName = CONSTANTS["inputs_file"]
    golden: _FileName = CONSTANTS["embeddings_file"]
    count: Annotated[int, Field(ge=1, le=CONSTANTS["max_images"])] = Field(
        description="Images in `inputs`, uint8 RGB [count,height,width,3], and rows in `golden`."
    )
    height: s.Side
    width: s.Side
    dim: Annotated[int, Field(ge=1, le=CONSTANTS["max_dim"])] = Field(
        description="Values of an embedding; `golden` is float32 little-endian [count,dim]."
    )
    layout: Literal["nchw", "nhwc_u8"] = Field(
        description="What the model takes: float32 [1,3,H,W] of 0-255, or uint8 [1,H,W,3]."
    )
    warmup: _Inferences = Field(description="Inferences between the first one and the first sample.")
    iterations: _Inferences = Field(ge=1, description="The least number of samples.")
    duration: Annotated[float, Field(ge=0, le=CONSTANTS["max_duration_s"])] = Field(
        description="The least time that samples are taken, in seconds."
    )
    threads: Annotated[int, Field(ge=1, le=CONSTANTS["max_threads"])]
    min_cosine: Annotated[float, Field(ge=-1, le=1)] = TOLERANCE
    compute_units: ComputeUnits | None = Field(None, description="For Core ML alone.")
    out: _FileName = Field(RESULT, description="The name of the result's file.")


def compute_units_of(names: Sequence[str]) -> Sequence[ComputeUnits]:
    """The compute units of these names, the first of all where there are none; UsageError where one is unknown."""
    if not set(names) <= set(COMPUTE_UNITS):
        known = ", ".join(COMPUTE_UNITS)
        raise UsageError(f"`compute_units` are {', '.join(names)}; give some of {known}", field="compute_units")
    return cast("Sequence[ComputeUnits]", names) or COMPUTE_UNITS[:1]


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
    golden.write(folder / job.inputs, folder / job.golden)
    job.write(folder / JOB)
