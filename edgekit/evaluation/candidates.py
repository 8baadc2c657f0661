"""The artifacts that are compared: those that are there already, and those that are exported for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgekit.artifact.folder import read_manifest, verify_files
from edgekit.artifact.manifest import FILENAME, Manifest, toolchain
from edgekit.errors import EdgeKitError
from edgekit.evaluation.variants import is_seeded
from edgekit.pipeline import ExportRequest, export
from edgekit.quantization.store import read_plan
from edgekit.recipe import Recipe
from edgekit.support.fields import AnyPath
from edgekit.support.files import sha256_file, sha256_tree, size_of
from edgekit.support.progress import Reporter
from edgekit.support.version import VERSION
from edgekit.targets import Precision, Target

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from edgekit.quantization import Plan

__all__ = ["Candidate", "Counted", "Making", "candidates", "counted"]

_PLANNED = "int8"
_FLOATS = ("fp32", "fp16")
_ASKED: dict[str, Precision | Literal["int8"]] = {"fp32": "fp32", "fp16": "fp16", "int8": "int8"}
_TAKEN = ("pass", "inconclusive")


@dataclass(frozen=True)
class Making:
    """How artifacts are made: to where, verified on what, by which plans (by the model's name)."""

    out: Path
    precisions: Sequence[str]  # "default" is each target's own
    targets: Sequence[Target]
    plans: Mapping[str, AnyPath]
    images: Path | None = None
    samples: int | None = None
    min_ios: int | None = None


@dataclass(frozen=True)
class Candidate:
    """One artifact, or why there is none."""

    recipe: Recipe
    target: Target
    precision: str
    folder: Path
    manifest: Manifest | None = None
    error: str | None = None

    @property
    def path(self) -> Path:
        """The artifact; only where there is a manifest."""
        assert self.manifest is not None
        return self.folder / self.manifest.artifact

    @property
    def sha256(self) -> str:
        """Of the artifact, as results of measurements name it."""
        return sha256_tree(self.path)

    @property
    def bytes(self) -> int:
        """What a phone downloads."""
        return size_of(self.path)


@dataclass(frozen=True)
class Counted:
    """A model's size: parameters and multiply-accumulates of one image, and the hash of its weights."""

    parameters: int
    macs: int
    state: str


def counted(recipe: Recipe, reporter: Reporter) -> Counted:
    """Count on the program that all targets share, with the projection and after branches were merged.

    Raises:
        EdgeKitError: the model cannot be built or captured.
    """
    from edgekit.model.embedder import state_sha256
    from edgekit.pipeline.original import capture

    original = capture(ExportRequest(recipe, "onnx"), reporter)
    parameters = sum(tensor.numel() for tensor in original.program.parameters())
    with reporter.stage(f"count {recipe.name}"):
        macs = _macs(original.program)
    return Counted(parameters, macs, state_sha256(original.embedder))


def _macs(program: ExportedProgram) -> int:
    """Half of what torch's counter counts, which has formulas for matrix products and convolutions."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    assert program.example_inputs is not None
    inputs = program.example_inputs
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        program.module()(*inputs[0], **inputs[1])
    return int(counter.get_total_flops() // 2)


def candidates(recipe: Recipe, state: str, making: Making, reporter: Reporter) -> Iterator[Candidate]:
    """One for each precision and target; what a manifest in `out` describes already is taken as it is.

    `state` is the hash of the model's state dict. What cannot be exported is one with an error; the others go on.
    """
    done: set[tuple[str, str]] = set()
    for precision in dict.fromkeys(making.precisions):
        for row in _of_precision(recipe, state, precision, making, reporter):
            if (row.target.key, row.precision) not in done:  # "default" may be one of the others
                done.add((row.target.key, row.precision))
                yield row


def _of_precision(recipe: Recipe, state: str, precision: str, making: Making, reporter: Reporter) -> list[Candidate]:
    """In the order of the targets."""
    plan: Plan | None = None
    try:
        if precision == _PLANNED and recipe.name in making.plans:
            plan = read_plan(Path(making.plans[recipe.name]))
    except EdgeKitError as error:
        return [Candidate(recipe, row, precision, making.out, error=str(error)) for row in making.targets]
    made: dict[str, Candidate] = {}
    for target in making.targets:
        name = plan.precision if plan is not None else target.precision if precision == "default" else precision
        folder = making.out / f"{recipe.name}-{target.key}-{name}"
        manifest = _published(folder, recipe, state, name, plan)
        if manifest is not None and manifest.target.min_ios in (None, target.ios_of(making.min_ios)):
            made[target.key] = Candidate(recipe, target, name, folder, manifest)
    missing = [target for target in making.targets if target.key not in made]
    if missing:
        made |= _exported(recipe, missing, precision, plan, making, reporter)
    return [made[target.key] for target in making.targets]


def _exported(
    recipe: Recipe, targets: Sequence[Target], precision: str, plan: Plan | None, making: Making, reporter: Reporter
) -> dict[str, Candidate]:
    """All targets on one road; one by one where that cannot even begin, as one may be to blame."""
    try:
        request = ExportRequest(
            recipe,
            targets,
            making.out,
            precision=_ASKED.get(precision) if plan is None else None,
            plan=plan,
            images=making.images,
            samples=making.samples,
            min_ios=making.min_ios,
            allow_inconclusive=is_seeded(recipe),
        )
        done = export(request, reporter).exports
    except EdgeKitError as error:
        if len(targets) > 1:
            alone = (_exported(recipe, [row], precision, plan, making, reporter) for row in targets)
            return {key: row for found in alone for key, row in found.items()}
        return {targets[0].key: Candidate(recipe, targets[0], precision, making.out, error=str(error))}
    made = {
        row.target.key: Candidate(
            recipe, row.target, row.precision, row.folder, row.manifest, None if row.error is None else str(row.error)
        )
        for row in done
    }
    left = "the target cannot hold this precision"
    return {row.key: made.get(row.key) or Candidate(recipe, row, precision, making.out, error=left) for row in targets}


def _published(folder: Path, recipe: Recipe, state: str, precision: str, plan: Plan | None) -> Manifest | None:
    """The manifest in `folder`, where it says that a new export of the recipe would be the same; else None."""
    if not (folder / FILENAME).is_file():
        return None
    try:
        manifest = read_manifest(folder)
        verify_files(manifest, folder)
    except EdgeKitError:
        return None
    planned = manifest.quantization
    same_plan = (planned is None) == (precision in _FLOATS) if plan is None else planned == plan.model_dump(mode="json")
    same = (
        manifest.edgekit == VERSION
        and manifest.precision == precision
        and manifest.parity.verdict in _TAKEN
        and same_plan
        and _same_recipe(manifest, recipe)
        and manifest.weights.sha256 in _hashes(recipe, state)
        and manifest.toolchain == toolchain(manifest.toolchain)
    )
    return manifest if same else None


def _same_recipe(manifest: Manifest, recipe: Recipe) -> bool:
    """The manifest has the resolved recipe: weights by file name, and the input's fields that were left open filled."""
    mine, theirs = recipe.model_dump(mode="json"), dict(manifest.recipe)
    if recipe.model.weights is not None:
        mine["model"]["weights"] = recipe.model.weights.name
    fields = recipe.input.model_fields_set
    there = theirs.get("input")
    inputs = there if isinstance(there, dict) else {}
    mine["input"] = {name: mine["input"][name] for name in fields}
    theirs["input"] = {name: inputs.get(name) for name in fields}
    return mine == theirs


def _hashes(recipe: Recipe, state: str) -> set[str]:
    """What a manifest may call the recipe's weights."""
    weights = recipe.model.weights
    return {state} if weights is None else {state, sha256_file(weights)}
