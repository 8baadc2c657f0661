"""manifest.json: what a published artifact is, where it came from, and the hashes to check it by."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from edgekit.model.space import SPACE
from edgekit.parity.report import ParityReport
from edgekit.support.documents import Document, Part
from edgekit.support.files import source_date_epoch
from edgekit.support.version import VERSION

__all__ = [
    "FILENAME",
    "SCHEMA",
    "Coverage",
    "EmbeddingInfo",
    "FileEntry",
    "Float32Op",
    "Hazard",
    "InputInfo",
    "Latency",
    "Manifest",
    "Metadata",
    "ParitySummary",
    "Payoff",
    "PayoffForm",
    "Preprocessing",
    "RelativePath",
    "RewriteLeftOut",
    "RuntimeVerdict",
    "RuntimeVersions",
    "Sha256",
    "SharedSpace",
    "TargetInfo",
    "Weights",
    "created_now",
    "toolchain",
]

FILENAME = "manifest.json"
SCHEMA: Final = "edgekit.manifest/1"


def _relative_path(path: str) -> str:
    parts = path.split("/")
    if "\\" in path or any(ord(char) < 32 or ord(char) == 127 for char in path) or len(path) > 1024:
        raise ValueError("holds a backslash or control characters, or is over 1024 characters")
    if any(part in ("", ".", "..") for part in parts) or ":" in parts[0]:
        raise ValueError("is not a relative path that stays inside the folder")
    return path


RelativePath = Annotated[str, AfterValidator(_relative_path)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Weights(Part):
    """The weights that the artifact was made from."""

    file: str | None = Field(description="Name of the weight file, or the hub's or timm's name; null where seeded.")
    sha256: Sha256 | None = Field(
        description="Hash of that file; without one, and of an index of shards, of the model's state dict: its names, "
        "dtypes, shapes and values."
    )
    license: str | None = Field(description="Licence of the weights, as an SPDX identifier where it has one.")
    origin: Literal["file", "pretrained", "factory", "seeded"] = Field(
        description="file: a checkpoint; pretrained: weights that timm or the hub publishes; factory: those that the "
        "factory gave its module; seeded: random, for tests."
    )
    taken: str | None = Field(
        default=None, description="What of the file was taken and what was left; null without a file."
    )


class Preprocessing(Part):
    """What must happen to a photograph before it is the artifact's input, and what the graph does itself."""

    size: list[int] = Field(min_length=2, max_length=2, description="Height and width of the input in pixels.")
    mean: list[float] = Field(min_length=3, max_length=3, description="Per channel, of values scaled to 0-1.")
    std: list[float] = Field(min_length=3, max_length=3, description="Per channel, of values scaled to 0-1.")
    interpolation: str = Field(description="Resampling filter of the resize.")
    crop_pct: float = Field(gt=0, description="Share of the resized image that the crop keeps.")
    crop_mode: str = Field(description="How the crop is taken: center, squash or border, as timm defines them.")
    color: Literal["RGB"] = "RGB"
    range: list[int] = Field(default=[0, 255], description="Smallest and largest pixel value that the input takes.")
    normalization: str = Field(
        default="in the graph, folded into the first convolution",
        description="Where mean and std are applied; never by the caller.",
    )


class SharedSpace(Part):
    """Why the embeddings are in the space of an older model."""

    kind: Literal["compatible", "adapter"] = Field(
        description="compatible: measured to serve the older gallery as they are; adapter: the model ends in a query "
        "adapter."
    )
    own: str = Field(description="Id of the space that the model has without it.")
    sha256: Sha256 = Field(description="Hash of the report of compatibility, or of the adapter's file.")


class EmbeddingInfo(Part):
    """The output."""

    name: str = Field(default="embedding", description="Name of the output tensor.")
    dim: int = Field(gt=0, description="Values in an embedding.")
    dtype: str = "float32"
    unit_length: bool = Field(default=True, description="True where each embedding has length 1.")
    space: Annotated[str, Field(pattern=f"^{SPACE}$")] | None = Field(
        default=None, description="Id of the embedding space; null in manifests of earlier versions."
    )
    shared: SharedSpace | None = Field(default=None, description="Null where the space is the model's own.")


class InputInfo(Part):
    """The input."""

    name: str = Field(default="image", description="Name of the input tensor.")
    layout: str = Field(description='Shape with named axes or sizes, for example "1x3x224x224" or "RGB image 224x224".')
    dtype: str = Field(description="float32, uint8, or image for a Core ML image input.")


class TargetInfo(Part):
    """The platform and the file format."""

    name: str = Field(description="Name of the target as given to the export: ios, android, onnx.")
    format: str = Field(description="File format: coreml, executorch or onnx.")
    min_ios: int | None = Field(default=None, description="Oldest iOS that loads the file; null on other platforms.")


class Coverage(Part):
    """How much of the lowered graph the fast backend takes."""

    backend: str
    delegated: float = Field(ge=0, le=1, description="Share of the compute operators inside the delegate.")
    partitions: int = Field(ge=0, description="Pieces that the delegate received; each border costs a copy.")
    outside: dict[str, int] = Field(description="Count of each operator left outside, by name.")
    operators: dict[str, int] = Field(
        default_factory=dict,
        description="Count of each operator of the file, by name, where only the device knows which are delegated.",
    )


class RewriteLeftOut(Part):
    """A graph rewrite that would have changed this model's numbers, found by comparing it with the original."""

    rewrite: str
    op: str = Field(description="The operator at which the values began to differ; unknown where the rewrite broke.")
    module: str = Field(description="The module it stands in, as a dotted path.")
    why: str


class Float32Op(Part):
    """An operator that half precision spoils, and that the artifact therefore computes in float32."""

    op: str
    node: str = Field(description="Its name in the exported program, which names inside the artifact begin with.")
    module: str = Field(description="The module that it comes from.")
    largest: float = Field(ge=0, description="The largest value that it gives on the images, without sign.")
    reason: str = Field(description="What half precision does to it.")


class ParitySummary(Part):
    """The figures of parity.json in short."""

    verdict: Literal["pass", "fail", "inconclusive", "unverified"] = Field(
        description="unverified: nothing was compared, and no parity.json was written."
    )
    runtime: str | None = Field(default=None, description="What ran the file.")
    reference: bool | None = Field(default=None, description="True where that stands in for the device's own runtime.")
    dataset: str | None = Field(default=None, description="What the images were.")
    dataset_sha256: Sha256 | None = None
    images: int = Field(default=0, ge=0)
    min_cosine: float | None = None
    mean_cosine: float | None = None
    max_abs_error: float | None = None
    recall_at_10_original: float | None = Field(default=None, description="Share from 0 to 1.")
    recall_at_10_mixed: float | None = Field(
        default=None, description="Artifact queries in the original's gallery, from 0 to 1."
    )

    @classmethod
    def of(cls, report: ParityReport | None) -> ParitySummary:
        """The short form of a report; "unverified" without one."""
        if report is None:
            return cls(verdict="unverified")
        retrieval = report.retrieval
        return cls(
            verdict=report.verdict,
            runtime=report.runtime,
            reference=report.reference,
            dataset=report.dataset.name,
            dataset_sha256=report.dataset.sha256,
            images=report.dataset.images,
            min_cosine=report.min_cosine,
            mean_cosine=report.mean_cosine,
            max_abs_error=report.max_abs_error,
            recall_at_10_original=retrieval.original.at_10 if retrieval else None,
            recall_at_10_mixed=retrieval.mixed.at_10 if retrieval else None,
        )


class Latency(Part):
    """A measured latency; a manifest without a measurement has null instead."""

    device: str
    runtime: str
    reference: bool = Field(description="True where an emulator or another stand-in was measured.")
    runs: int = Field(gt=0)
    median_ms: float = Field(gt=0)
    p90_ms: float = Field(gt=0)


RuntimeVerdict = Literal["pass", "fail", "inconclusive", "refused", "unavailable"]


class RuntimeVersions(Part):
    """Which versions of the file's runtime gave the original's embeddings."""

    package: str = Field(description="The runtime's package.")
    oldest: str | None = Field(
        description="The oldest version that agrees with the original, as all newer ones that were tried do; null "
        "where the newest does not."
    )
    tried: dict[str, RuntimeVerdict] = Field(
        min_length=1,
        description="What each version was found to do, by its number; refused: it does not run the file; unavailable: "
        "it did not start on that machine, which says nothing of the file.",
    )


class PayoffForm(Part):
    """One form of the model beside the others: float, or by the plan."""

    precision: str = Field(description="fp32, fp16, or the plan's.")
    bytes: int = Field(gt=0)
    median_ms: float | None = Field(default=None, gt=0, description="CPU time of one image on the exporting host.")
    min_cosine: float | None = None
    mean_cosine: float | None = None
    recall_drop: float | None = Field(default=None, description="Points of recall@10 lost, artifact alone.")
    mixed_drop: float | None = Field(default=None, description="Points of recall@10 lost in the original's gallery.")


class Payoff(Part):
    """Whether quantizing paid on the host that exported, which is not the phone."""

    forms: list[PayoffForm] = Field(min_length=2, description="The planned form is the last.")
    verdict: str


class Hazard(Part):
    """A known fault of a runtime or a machine that this file can meet, and how it is avoided."""

    name: str
    where: str = Field(description="The runtime and the machines that have the fault.")
    concerns: str = Field(description="What of this file it can strike.")
    effect: str
    remedy: str
    options: dict[str, str] = Field(default={}, description="Options of the runtime's session that avoid it.")
    runtime: str | None = Field(default=None, description="Null in manifests of earlier versions.")
    compute_unit: str | None = Field(default=None, description="Null in manifests of earlier versions.")
    source: str | None = Field(default=None, description="The public thread; null in manifests of earlier versions.")


class FileEntry(Part):
    """One published file."""

    path: RelativePath = Field(description="Relative to the manifest's folder, with forward slashes.")
    bytes: int = Field(ge=0)
    sha256: Sha256


class Metadata(Part):
    """What the author says about the model; the same text is inside the artifact."""

    author: str | None = None
    license: str | None = None
    version: str | None = None
    description: str | None = None


class Manifest(Document):
    """Everything a published artifact is: one schema for all formats."""

    ADVICE: ClassVar[str] = "export the model again"

    schema_: Literal["edgekit.manifest/1"] = Field(default=SCHEMA, alias="schema")
    edgekit: str = Field(default=VERSION, description="Version of EdgeKit that wrote this.")
    created: str | None = Field(
        default=None,
        description="UTC time of SOURCE_DATE_EPOCH; null without it, so that equal inputs give equal bytes.",
    )
    artifact: RelativePath = Field(
        pattern=r"^[^/]+$", description="The model, beside this manifest: a file, or the folder of a Core ML package."
    )
    metadata: Metadata = Metadata()
    target: TargetInfo
    precision: str = Field(description="fp32, fp16, or the scheme of the quantization plan.")
    recipe: dict[str, Any] = Field(description="The resolved recipe; the export is reproducible from it.")
    weights: Weights
    preprocessing: Preprocessing
    input: InputInfo
    embedding: EmbeddingInfo
    quantization: dict[str, Any] | None = Field(default=None, description="The quantization plan; null without one.")
    coverage: Coverage
    rewrites: dict[str, int] = Field(description="How often each graph rewrite was applied.")
    rewrites_left_out: list[RewriteLeftOut] = Field(
        default=[], description="Rewrites that this model did without, because they changed its embeddings."
    )
    hazards: list[Hazard] = Field(
        default=[], description="Known faults of runtimes and machines that the file can meet elsewhere."
    )
    float32_ops: list[Float32Op] = Field(
        default=[], description="Operators of an fp16 artifact that are in float32 because half precision spoils them."
    )
    parity: ParitySummary
    latency: Latency | None = Field(default=None, description="Null where it was not measured.")
    runtime: RuntimeVersions | None = Field(
        default=None, description="Null until `edgekit parity` was told to record what other versions do."
    )
    payoff: Payoff | None = Field(default=None, description="Null unless `compare` was asked for with a plan.")
    toolchain: dict[str, str] = Field(description="Version of each package that took part.")
    files: list[FileEntry] = Field(min_length=1, description="Every published file but this one, sorted by path.")

    @model_validator(mode="after")
    def _files_agree(self) -> Manifest:
        paths = [entry.path for entry in self.files]
        if len(set(paths)) < len(paths):
            raise ValueError("files: a path is listed twice")
        if FILENAME in paths:
            raise ValueError(f"files: {FILENAME} cannot hold its own hash")
        if not any(PurePosixPath(path).is_relative_to(self.artifact) for path in paths):
            raise ValueError(f"artifact: {self.artifact!r} is not among the files")
        return self


def toolchain(packages: Iterable[str]) -> dict[str, str]:
    """Versions of those of `packages` that are installed, by name; nothing is imported."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for name in sorted(packages):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def created_now() -> str | None:
    """UTC time of SOURCE_DATE_EPOCH as "2026-01-31T12:00:00Z"; None without it. UsageError where it is no number."""
    seconds = source_date_epoch()
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
