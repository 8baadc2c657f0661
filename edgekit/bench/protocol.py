"""What the apps on phones are told to do: a folder with `job.json` (`edgekit.job/2`), the model and its golden pair."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast, get_args

from pydantic import ConfigDict, Field

from edgekit.artifact.open import Artifact
from edgekit.bench import schema as s
from edgekit.bench.constants import CONSTANTS
from edgekit.bench.golden import TOLERANCE, Golden, Pair, model_of
from edgekit.bench.request import BenchRequest
from edgekit.errors import UsageError
from edgekit.support.documents import Document

__all__ = [
    "ACCELERATORS",
    "COMPUTE_UNITS",
    "UNITS",
    "Accelerator",
    "AppJob",
    "ComputeUnits",
    "compute_units_of",
    "job_of",
    "layout_of",
    "write_job",
]

JOB: str = CONSTANTS["job_file"]
JOB_FOLDER: str = CONSTANTS["job_folder"]  # in the app's own documents, or below /data/local/tmp
RESULT: str = CONSTANTS["result_file"]
COMPUTE_PLAN: str = CONSTANTS["compute_plan_file"]
ComputeUnits = Literal["all", "cpuAndNeuralEngine", "cpuAndGPU", "cpuOnly"]
COMPUTE_UNITS: tuple[ComputeUnits, ...] = get_args(ComputeUnits)
Accelerator = Literal["cpu", "gpu"]
ACCELERATORS: tuple[Accelerator, ...] = get_args(Accelerator)
# Of each format that has some: the first is the one to measure with where none is asked for.
UNITS: Mapping[str, Sequence[ComputeUnits] | Sequence[Accelerator]] = {
    "coreml": COMPUTE_UNITS,
    "coreai": COMPUTE_UNITS,
    "litert": ACCELERATORS,
}
Layout = Literal["nchw", "nhwc", "nhwc_u8"]
_LAYOUT = re.compile(r"[^x]+x(\d+)x(\d+)x3")  # of a manifest: batch, height, width and channels
_FileName = Annotated[str, Field(pattern=f"^{CONSTANTS['file_name_pattern']}$")]
_Unit = TypeVar("_Unit", bound=str)
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
    inputs: _FileName | None = Field(CONSTANTS["inputs_file"], description="Null where `photos` is given.")
    photos: _FileName | None = Field(
        None,
        description="In the place of `inputs`: a folder as `edgekit golden` writes, without inputs.bin and golden.bin. "
        "The device decodes, turns upright, scales and crops each of its photos itself.",
    )
    golden: _FileName = CONSTANTS["embeddings_file"]
    count: Annotated[int, Field(ge=1, le=CONSTANTS["max_images"])] = Field(
        description="Images in `inputs`, uint8 RGB [count,height,width,3], or in `photos`, and rows in `golden`."
    )
    height: s.Side
    width: s.Side
    dim: Annotated[int, Field(ge=1, le=CONSTANTS["max_dim"])] = Field(
        description="Values of an embedding; `golden` is float32 little-endian [count,dim]."
    )
    layout: Layout = Field(
        description="What the model takes: float32 [1,3,H,W] or [1,H,W,3] of 0-255, or uint8 [1,H,W,3]."
    )
    warmup: _Inferences = Field(description="Inferences between the first one and the first sample.")
    iterations: _Inferences = Field(ge=1, description="The least number of samples.")
    duration: Annotated[float, Field(ge=0, le=CONSTANTS["max_duration_s"])] = Field(
        description="The least time that samples are taken, in seconds."
    )
    threads: Annotated[int, Field(ge=1, le=CONSTANTS["max_threads"])]
    min_cosine: Annotated[float, Field(ge=-1, le=1)] = TOLERANCE
    compute_units: ComputeUnits | Accelerator | None = Field(
        None, description="Of Core ML and Core AI; the accelerator of LiteRT; null for other formats."
    )
    embeddings: _FileName | None = Field(
        None,
        description="The name of a file to write beside the result, before it: float32 little-endian [count,dim], the "
        "embedding of each image from the first time that it was run. Null in a measurement.",
    )
    out: _FileName = Field(RESULT, description="The name of the result's file.")

    @property
    def images(self) -> str:
        """The name of what holds the images: `inputs`, or the folder `photos`."""
        return self.photos or self.inputs or CONSTANTS["inputs_file"]


def compute_units_of(names: Sequence[str], known: Sequence[_Unit]) -> Sequence[_Unit]:
    """Those of `known` that have these names, the first of all where there are none; UsageError where one has not."""
    if not set(names) <= set(known):
        raise UsageError(
            f"`compute_units` are {', '.join(names)}; give some of {', '.join(known)}", field="compute_units"
        )
    return cast("Sequence[_Unit]", names) or known[:1]


def layout_of(artifact: Artifact) -> Layout:
    """What an artifact takes, as its manifest says; without one, what EdgeKit makes of its format."""
    if artifact.manifest is None:
        return "nhwc" if artifact.target.channels_last else "nchw"
    taken = artifact.manifest.input
    if taken.dtype == "uint8":
        return "nhwc_u8"
    sizes = _LAYOUT.fullmatch(taken.layout)
    last = sizes is not None and tuple(map(int, sizes.groups())) == tuple(artifact.runner.input_size)
    return "nhwc" if last else "nchw"


def job_of(
    artifact: Artifact,
    golden: Golden,
    request: BenchRequest,
    run_id: str,
    units: ComputeUnits | Accelerator | None = None,
) -> AppJob:
    """The job of measuring `artifact` as `request` says."""
    facts = model_of(artifact)
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
        layout=layout_of(artifact),
        warmup=request.warmup,
        iterations=request.min_iterations,
        duration=request.min_duration_s,
        threads=request.threads or 1,
        compute_units=units,
    )


def write_job(folder: Path, job: AppJob, model: Path, golden: Pair) -> None:
    """Put the job and all that it names into `folder`, which is there."""
    (shutil.copytree if model.is_dir() else shutil.copyfile)(model, folder / job.model)
    golden.write(folder / job.images, folder / job.golden)
    job.write(folder / JOB)
