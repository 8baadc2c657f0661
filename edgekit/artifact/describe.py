"""The manifest of an export: what was made, from what, and how it was checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.artifact import manifest as m
from edgekit.artifact.folder import describe_files
from edgekit.artifact.hazards import hazards
from edgekit.parity.report import ParityReport
from edgekit.recipe import Recipe
from edgekit.support.files import sha256_file
from edgekit.targets import Coverage, LowerOptions, Target
from edgekit.targets.hazards import Found

if TYPE_CHECKING:
    from edgekit.graph import LeftOut
    from edgekit.graph.half import WideCall
    from edgekit.model.embedder import Embedder
    from edgekit.quantization import Plan

__all__ = ["Made", "describe"]

# Of every file, by the names under which they are installed; of a target, those that its row names.
_PACKAGES = ("numpy", "pillow", "timm", "torch")
_INSTALLED_AS = {"coreai": "coreai-core"}


@dataclass(frozen=True)
class Made:
    """One file: what it was made from and how, and what was found out about it."""

    recipe: Recipe
    target: Target
    precision: str  # "fp32", "fp16", or the plan's scheme
    plan: Plan | None
    options: LowerOptions
    input_dtype: str
    coverage: Coverage
    rewrites: Mapping[str, int]  # how often each was applied
    left_out: Sequence[LeftOut]  # rewrites that this model does without
    float32_calls: Sequence[WideCall] = ()
    report: ParityReport | None = None  # None: not verified
    payoff: m.Payoff | None = None
    hazards: Sequence[Found] = ()


def describe(made: Made, embedder: Embedder, path: Path) -> m.Manifest:
    """The manifest of the artifact at `path`, in whose folder every file is hashed."""
    target, coverage = made.target, made.coverage
    return m.Manifest(
        created=m.created_now(),
        artifact=path.name,
        metadata=m.Metadata(**made.recipe.metadata.model_dump()),
        target=m.TargetInfo(
            name=target.platform, format=target.format, min_ios=None if target.ios is None else made.options.min_ios
        ),
        precision=made.precision,
        recipe=_portable(made.recipe, embedder),
        weights=_weights(made.recipe, embedder),
        preprocessing=m.Preprocessing(**embedder.spec.model_dump(mode="json")),
        input=_input(made, embedder.spec.size),
        embedding=_embedding(embedder),
        quantization=None if made.plan is None else made.plan.model_dump(mode="json"),
        coverage=m.Coverage(
            backend=coverage.backend,
            delegated=round(coverage.delegated, 4),
            partitions=coverage.partitions,
            outside=dict(sorted(coverage.outside.items())),
            operators=dict(sorted(coverage.operators.items())),
        ),
        rewrites=dict(sorted(made.rewrites.items())),
        rewrites_left_out=[m.RewriteLeftOut(**item._asdict()) for item in made.left_out],
        hazards=hazards(made.hazards),
        float32_ops=[
            m.Float32Op(
                op=call.op, node=call.node, module=call.module, largest=float(f"{call.largest:.4g}"), reason=call.reason
            )
            for call in made.float32_calls
        ],
        parity=m.ParitySummary.of(made.report),
        payoff=made.payoff,
        toolchain=m.toolchain(_took_part(made)),
        files=describe_files(path.parent),
    )


def _took_part(made: Made) -> list[str]:
    own = [_INSTALLED_AS.get(name, name.replace("_", "-")) for name in made.target.packages]
    return [*_PACKAGES, *own, *([] if made.plan is None else ["torchao"])]


def _portable(recipe: Recipe, embedder: Embedder) -> dict[str, Any]:
    """The resolved recipe without this machine's paths: weights by file name, the input as it was resolved."""
    resolved = recipe.model_dump(mode="json")
    resolved["distill"] = None  # which an export leaves alone, and whose data lie where this machine has them
    resolved["input"] = embedder.spec.model_dump(mode="json")
    if recipe.model.weights is not None:
        resolved["model"]["weights"] = recipe.model.weights.name
    for name in ("adapter", "compatibility"):
        file = getattr(recipe.embedding, name)
        resolved["embedding"][name] = None if file is None else file.name
    return resolved


def _embedding(embedder: Embedder) -> m.EmbeddingInfo:
    space = embedder.space
    if space is None:
        return m.EmbeddingInfo(dim=embedder.dim)
    evidence = space.evidence
    shared = None if evidence is None else m.SharedSpace(**dataclasses.asdict(evidence))
    return m.EmbeddingInfo(dim=embedder.dim, space=space.id, shared=shared)


def _weights(recipe: Recipe, embedder: Embedder) -> m.Weights:
    from edgekit.model.embedder import state_sha256
    from edgekit.model.weights import is_index

    path, taken = recipe.model.weights, embedder.taken
    license = recipe.metadata.license if recipe.metadata.license != "unknown" else embedder.weight_license
    return m.Weights(
        file=path.name if path is not None else recipe.model.backbone if embedder.origin != "seeded" else None,
        sha256=state_sha256(embedder) if path is None or is_index(path) else sha256_file(path),
        license=license,
        origin=embedder.origin,
        taken=None if taken is None else taken.words,
    )


def _input(made: Made, size: tuple[int, int]) -> m.InputInfo:
    height, width = size
    if made.target.image_input:
        return m.InputInfo(layout=f"RGB image {width}x{height}", dtype="image")
    batch = "N" if made.options.dynamic_batch else "1"
    last = made.input_dtype == "uint8" or made.target.channels_last
    layout = f"{batch}x{height}x{width}x3" if last else f"{batch}x3x{height}x{width}"
    return m.InputInfo(layout=layout, dtype=made.input_dtype)
