"""The manifest of an export: what was made, from what, and how it was checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.artifact import manifest as m
from edgekit.artifact.hazards import hazards

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgekit.graph import LeftOut
    from edgekit.graph.half import WideCall
    from edgekit.model.embedder import Embedder
    from edgekit.parity import ParityReport
    from edgekit.pipeline import ExportRequest
    from edgekit.recipe import Recipe
    from edgekit.targets import Coverage, Target

__all__ = ["describe"]

_PACKAGES = (
    "coremltools", "executorch", "numpy", "onnx", "onnxruntime", "onnxscript", "pillow", "timm", "torch", "torchao",
)  # fmt: skip


def describe(
    request: ExportRequest,
    target: Target,
    precision: str,
    embedder: Embedder,
    folder: Path,
    *,
    artifact: str,
    coverage: Coverage,
    rewrites: Mapping[str, int],
    left_out: Sequence[LeftOut],
    wide: Sequence[WideCall],
    report: ParityReport | None,
    payoff: m.Payoff | None = None,
) -> m.Manifest:
    """The manifest of `artifact` in `folder`, whose every file is hashed."""
    spec = embedder.spec
    return m.Manifest(
        created=m.created_now(),
        artifact=artifact,
        metadata=m.Metadata(**request.recipe.metadata.model_dump()),
        target=m.TargetInfo(
            name=target.name, format=target.format, min_ios=request.min_ios if target.name == "ios" else None
        ),
        precision=precision,
        recipe=_portable(request.recipe, embedder),
        weights=_weights(request.recipe, embedder),
        preprocessing=m.Preprocessing(
            size=list(spec.size),
            mean=list(spec.mean),
            std=list(spec.std),
            interpolation=spec.interpolation,
            crop_pct=spec.crop_pct,
            crop_mode=spec.crop_mode,
        ),
        input=_input(request, target, embedder),
        embedding=m.EmbeddingInfo(dim=embedder.dim),
        quantization=None if request.plan is None else request.plan.model_dump(mode="json"),
        coverage=m.Coverage(
            backend=coverage.backend,
            delegated=round(coverage.delegated, 4),
            partitions=coverage.partitions,
            outside=dict(sorted(coverage.outside.items())),
        ),
        rewrites=dict(sorted(rewrites.items())),
        rewrites_left_out=[m.RewriteLeftOut(**item._asdict()) for item in left_out],
        hazards=hazards(folder / artifact, target.format),
        float32_ops=[
            m.Float32Op(
                op=call.op, node=call.node, module=call.module, largest=float(f"{call.largest:.4g}"), reason=call.reason
            )
            for call in wide
        ],
        parity=m.ParitySummary.of(report),
        payoff=payoff,
        toolchain=m.toolchain(_PACKAGES),
        files=m.describe_files(folder),
    )


def _portable(recipe: Recipe, embedder: Embedder) -> dict[str, Any]:
    """The resolved recipe without this machine's paths: weights by file name, the input as it was resolved."""
    resolved = recipe.model_dump(mode="json")
    resolved["input"] = embedder.spec.model_dump(mode="json")
    if recipe.model.weights is not None:
        resolved["model"]["weights"] = recipe.model.weights.name
    return resolved


def _weights(recipe: Recipe, embedder: Embedder) -> m.Weights:
    from edgekit.model.embedder import state_sha256
    from edgekit.model.weights import is_index
    from edgekit.support.files import sha256_file

    path, taken = recipe.model.weights, embedder.taken
    license = recipe.metadata.license if recipe.metadata.license != "unknown" else embedder.weight_license
    return m.Weights(
        file=path.name if path is not None else recipe.model.backbone if embedder.origin != "seeded" else None,
        sha256=state_sha256(embedder) if path is None or is_index(path) else sha256_file(path),
        license=license,
        origin=embedder.origin,
        taken=None if taken is None else taken.words,
    )


def _input(request: ExportRequest, target: Target, embedder: Embedder) -> m.InputInfo:
    height, width = embedder.spec.size
    if target.format == "coreml":
        return m.InputInfo(layout=f"RGB image {width}x{height}", dtype="image")
    batch = "N" if request.dynamic_batch else "1"
    if request.input_dtype == "uint8":
        return m.InputInfo(layout=f"{batch}x{height}x{width}x3", dtype="uint8")
    return m.InputInfo(layout=f"{batch}x3x{height}x{width}", dtype="float32")
