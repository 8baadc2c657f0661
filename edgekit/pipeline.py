"""The road: recipe -> embedder -> exported program -> rewrites -> (quantize) -> lower -> verify -> publish."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgekit.data.datasets import pictures
from edgekit.errors import EdgeKitError, InconclusiveError, ModelError, ParityError, UsageError
from edgekit.parity.second_try import Attempt, try_again
from edgekit.quantization.schemes import gates_for
from edgekit.support import interrupt
from edgekit.support.drafts import sweep
from edgekit.support.text import reason_of
from edgekit.support.threads import one_thread
from edgekit.targets import LowerOptions

if TYPE_CHECKING:
    import numpy as np
    from torch.export import ExportedProgram

    from edgekit.artifact.manifest import Manifest, Payoff
    from edgekit.data.datasets import Pictures
    from edgekit.graph import Checked, LeftOut, Probe
    from edgekit.graph.half import WideCall
    from edgekit.graph.levels import Levels
    from edgekit.model.embedder import Embedder
    from edgekit.parity import ParityReport, Reference
    from edgekit.quantization import Plan
    from edgekit.recipe import Recipe
    from edgekit.support.progress import Reporter
    from edgekit.targets import Coverage, Precision, Target

__all__ = ["Export", "ExportRequest", "ExportResult", "export"]

_BATCH = 8
_FLOATS: tuple[Precision, ...] = ("fp32", "fp16")
_LOOKED_AT = 16  # parity images whose tensors are held against the plan's ranges


@dataclass(frozen=True)
class ExportRequest:
    """What to export, to where, and how to check it."""

    recipe: Recipe
    targets: Sequence[Target]
    out: Path = Path("exported")
    precision: Precision | Literal["int8"] | None = None  # None: each target's; with a plan, of what it leaves in float
    plan: Plan | None = None
    min_ios: int = 16
    dynamic_batch: bool = False
    input_dtype: str = "float32"
    images: Path | None = None  # None: the synthetic catalogue
    samples: int = 64
    allow_inconclusive: bool = False
    verify: bool = True
    compare: bool = False  # with a plan: also make the float forms, and say whether the plan pays


@dataclass(frozen=True)
class Export:
    """One artifact: published under `folder`, or held back by `error`."""

    target: Target
    precision: str  # "fp32", "fp16", or the plan's scheme
    folder: Path
    seconds: float
    manifest: Manifest | None = None
    report: ParityReport | None = None
    error: EdgeKitError | None = None

    @property
    def artifact(self) -> Path | None:
        """The published file or package."""
        return self.folder / self.manifest.artifact if self.manifest else None


@dataclass(frozen=True)
class ExportResult:
    """All artifacts of one request, in the order of its targets."""

    exports: Sequence[Export]

    def raise_for_failures(self) -> None:
        """Raise the first target's error, if any target was held back."""
        for item in self.exports:
            if item.error is not None:
                raise item.error


@one_thread()
def export(request: ExportRequest, reporter: Reporter) -> ExportResult:
    """Travel the road once for all targets; each artifact that passes parity is published, the others are not.

    Raises:
        EdgeKitError: something before the targets failed. What fails within a target is in its `Export.error`.
    """
    from edgekit import graph
    from edgekit.model.build import build, probe

    _refuse_unfit(request)
    for left in sweep(request.out):
        reporter.note(f"removed {left}, which an export that was killed had left")
    embedder = build(request.recipe, reporter, uint8_input=request.input_dtype == "uint8")
    with reporter.stage("capture the graph"):
        program = graph.capture(embedder, embedder.example(), dynamic_batch=request.dynamic_batch, note=reporter.note)
        held = probe(embedder)
    model = _Model(embedder, program, held)
    if request.plan is not None:
        from edgekit.model.embedder import state_sha256

        request.plan.check_fits(state_sha256(embedder), embedder.spec.size)
    data = pictures(request.images, request.samples, embedder.spec, reporter)
    if request.precision == "int8":
        plan, data = _plan(request, model, data, reporter)
        request = replace(request, plan=plan, precision=None)
    source = None
    if request.verify:
        from edgekit import parity
        from edgekit.parity.reference import reference_of

        if request.plan is not None:
            _warn_of_domain_shift(request.plan, model, data, reporter)
        plain = parity.plain_images(embedder.embed, embedder.spec.size)
        source = _Source(data, data.digest(), reference_of(embedder, data, reporter), plain)
    return ExportResult([_one(request, target, model, source, reporter) for target in request.targets])


@dataclass(frozen=True)
class _Model:
    """The original, its program before any rewrite, and what programs are held against."""

    embedder: Embedder
    program: ExportedProgram
    held: Probe

    def prepared(self) -> Checked:
        """The program to quantize."""
        from edgekit import graph

        return graph.checked(self.program, graph.PREPARATION, self.held)


def _plan(request: ExportRequest, model: _Model, data: Pictures, reporter: Reporter) -> tuple[Plan, Pictures]:
    """The plan `auto` that keeps the recipe's own gates, and the images to judge the files on.

    It is calibrated on the catalogue, or where `data` are a folder, on a part of it that does not judge.
    """
    from edgekit import quantization as quantize
    from edgekit.data.images import Folder
    from edgekit.quantization.halves import halves

    gates = request.recipe.gates.int8
    settings = quantize.Settings(
        min_cosine=gates.min_cosine, max_recall_drop=min(gates.max_recall_drop, quantize.Settings.max_recall_drop)
    )
    parts = halves(data) if isinstance(data, Folder) else None
    if parts is not None:
        data = parts[1]
    prepared = model.prepared().program
    return quantize.plan_of(request.recipe, model.embedder, prepared, settings, reporter, parts).plan, data


def _warn_of_domain_shift(plan: Plan, model: _Model, data: Pictures, reporter: Reporter) -> None:
    from edgekit.quantization.domain_shift import domain_shift

    few = [picture.image for picture in islice(data, _LOOKED_AT)]
    with reporter.stage(f"compare {len(few)} images with the plan's ranges"):
        warning = domain_shift(model.prepared().program, plan, few)
    if warning is not None:
        reporter.note(warning)


@dataclass(frozen=True)
class _Source:
    """The images of this run, what the original makes of them, and images of one colour that it takes."""

    data: Pictures
    digest: str
    reference: Reference
    plain: Mapping[str, np.ndarray]


def _refuse_unfit(request: ExportRequest) -> None:
    """What can be seen to fail before any work is done."""
    from edgekit.quantization.plan import check_target

    if request.compare and (not request.verify or (request.plan is None and request.precision != "int8")):
        raise UsageError("--compare needs a plan or --precision int8, and images: leave out --no-verify")

    if request.precision == "int8" and request.plan is not None:
        raise UsageError("--precision int8 makes a plan of its own: leave out --plan, or --precision")
    for target in request.targets:
        target.backend()
        if request.dynamic_batch and target.format != "onnx":
            raise UsageError(f"--dynamic-batch is for onnx; {target.name} ({target.format}) takes one image")
        if request.input_dtype == "uint8" and target.name == "ios":
            raise UsageError("--input uint8 is for android and onnx; a Core ML package takes an image already")
        if request.plan is not None or request.precision == "int8":
            if request.plan is not None:
                request.plan.check_target(target.slug, target.rewrites, request.min_ios)
            else:
                check_target(target.slug, target.rewrites, request.min_ios)
            if request.dynamic_batch or request.input_dtype == "uint8":
                raise UsageError("a plan is for one float32 image: leave out --dynamic-batch and --input uint8")


def _one(
    request: ExportRequest,
    target: Target,
    model: _Model,
    source: _Source | None,
    reporter: Reporter,
) -> Export:
    """Rewrite, lower, verify and publish for one target; an error holds back this target only."""
    from edgekit.artifact.describe import describe
    from edgekit.artifact.manifest import write_manifest
    from edgekit.artifact.publish import publishing
    from edgekit.support.drafts import scratch

    floats = target.precision if request.precision is None or request.precision == "int8" else request.precision
    precision = floats if request.plan is None else request.plan.precision
    folder = request.out / f"{request.recipe.name}-{target.slug}-{precision}"
    started = time.perf_counter()
    manifest, report = None, None
    wide: Sequence[WideCall] = ()
    error: EdgeKitError | None = None
    options = LowerOptions(
        precision=floats,
        scheme=None if request.plan is None else request.plan.precision,
        min_ios=request.min_ios,
        dynamic_batch=request.dynamic_batch,
        metadata=request.recipe.metadata.model_dump(),
    )
    try:
        with publishing(folder) as draft, scratch(_bytes(model.program)):
            path = draft / f"{request.recipe.name}{target.suffix}"
            rewritten = _rewrite(request, target, model, reporter)
            options = replace(options, levels=rewritten.levels)
            with reporter.stage(f"{target.slug}: lower to {path.name}"):
                coverage = target.backend().lower(rewritten.program, path, options)
            interrupt.check()
            if source is not None:
                report = _verify(request, target, precision, path, source, reporter)
                if report.verdict == "fail" and precision == "fp16":
                    first = Attempt(rewritten.program, options, coverage, report)
                    again = _again(request, target, first, path, source, reporter)
                    rewritten = replace(rewritten, program=again.program, counts={**rewritten.counts, **again.counts})
                    coverage, report, wide = again.coverage, again.report, again.calls
                try:
                    report.raise_for_verdict(allow_inconclusive=request.allow_inconclusive)
                except ParityError as missed:
                    step = _blame(model, rewritten.program, report, source, precision, target)
                    raise ParityError(f"{missed}; {step}") from missed
                report.write(draft / "parity.json")
            payoff = None
            if request.compare and report is not None and source is not None:
                payoff = _pay(request, target, precision, path, report, model, source, reporter)
            manifest = describe(
                request,
                target,
                precision,
                model.embedder,
                draft,
                artifact=path.name,
                coverage=coverage,
                rewrites=rewritten.counts,
                left_out=rewritten.left_out,
                wide=wide,
                report=report,
                payoff=payoff,
            )
            write_manifest(manifest, draft)
            interrupt.check()
    except (ParityError, InconclusiveError) as missed:
        error = type(missed)(f"{missed}; nothing was published")
    except EdgeKitError as failed:
        error = failed
    except OSError:
        raise
    except Exception as unexpected:  # one target's surprise is not to cost the user the other targets
        told = f"{reason_of(unexpected)} ({type(unexpected).__name__})"
        error = ModelError(f"{target.slug}: {target.format} cannot take this model: {told}")
        error.__cause__ = unexpected
    return Export(
        target, precision, folder, time.perf_counter() - started, manifest if error is None else None, report, error
    )


@dataclass(frozen=True)
class _Rewritten:
    """The program as a target runs it best, quantized where there is a plan, and its values that are on few levels."""

    program: ExportedProgram
    counts: Mapping[str, int]
    left_out: Sequence[LeftOut]
    levels: Sequence[Levels] = ()


def _rewrite(request: ExportRequest, target: Target, model: _Model, reporter: Reporter) -> _Rewritten:
    """Rewrite for one target, each program held against the one before it; what is left out is told."""
    from edgekit import graph

    title = "rewrite the graph" if request.plan is None else "rewrite and quantize the graph"
    with reporter.stage(f"{target.slug}: {title}"):
        if request.plan is None:
            rewritten = _Rewritten(*graph.checked(model.program, graph.rows_of(target.rewrites), model.held))
        else:
            from edgekit import quantization as quantize

            prepared = model.prepared()
            quantized, levels = quantize.apply(prepared.program, request.plan, target.rewrites)
            rounded = graph.probe(lambda image: graph.run_program(quantized, image), model.held.inputs)
            rest = graph.checked(quantized, graph.rows_of(target.rewrites, graph.SPECIALIZE), rounded)
            counts = Counter(prepared.counts) + Counter(rest.counts)
            names = {**prepared.counts, **rest.counts}
            rewritten = _Rewritten(
                rest.program, {name: counts[name] for name in names}, prepared.left_out + rest.left_out, levels
            )
    for item in rewritten.left_out:
        reporter.note(
            f"{target.slug}: the rewrite {item.rewrite} is left out for this model: {item.why} "
            f"({item.op} in {item.module})"
        )
    return rewritten


def _blame(
    model: _Model, program: ExportedProgram, report: ParityReport, source: _Source, precision: str, target: Target
) -> str:
    """Which step lost the embedding of the report's worst image: what was lowered is run on it."""
    from edgekit import graph, parity

    index = list(source.reference.names).index(report.worst_image or source.reference.names[0])
    picture = next(islice(source.data, index, None))
    lowered = graph.run_program(program, model.embedder.pixels(picture.image[None])).numpy()[0]
    return parity.losing_step(report, source.reference, index, lowered, precision=precision, format=target.format)


def _verify(
    request: ExportRequest, target: Target, precision: str, path: Path, source: _Source, reporter: Reporter
) -> ParityReport:
    from edgekit import parity

    with reporter.stage(f"{target.slug}: verify on {len(source.data)} images") as tick:
        runner = target.backend().open(path)
        report = parity.check(
            runner,
            source.reference,
            source.data,
            request.recipe.gates.of(gates_for(precision)),
            dataset=source.data.name,
            digest=source.digest,
            progress=tick,
            batch=_BATCH,
        )
        return parity.held_on_plain(report, runner.embed, source.plain)


def _again(
    request: ExportRequest, target: Target, first: Attempt, path: Path, source: _Source, reporter: Reporter
) -> Attempt:
    """A file in half precision that missed its gates, made again with a few operators in float32."""

    def lower(program: ExportedProgram, options: LowerOptions) -> Coverage:
        return target.backend().lower(program, path, options)

    def verify() -> ParityReport:
        return _verify(request, target, "fp16", path, source, reporter)

    return try_again(first, target, source.data, lower, verify, reporter)


def _pay(
    request: ExportRequest,
    target: Target,
    precision: str,
    planned: Path,
    report: ParityReport,
    model: _Model,
    source: _Source,
    reporter: Reporter,
) -> Payoff:
    """The planned file beside fp32 and fp16 of the same program, made in a folder that is gone afterwards."""
    from edgekit.artifact import payoff
    from edgekit.artifact.manifest import Payoff

    backend = target.backend()
    tried: dict[str, payoff.Tried] = {}
    with tempfile.TemporaryDirectory() as folder:
        plain = replace(request, plan=None)
        for floats in _FLOATS:
            path = Path(folder) / f"{floats}{target.suffix}"
            rewritten = _rewrite(plain, target, model, reporter)
            with reporter.stage(f"{target.slug}: lower to {floats} to compare"):
                backend.lower(rewritten.program, path, LowerOptions(precision=floats, min_ios=request.min_ios))
            found = _verify(request, target, floats, path, source, reporter)
            tried[floats] = payoff.Tried(path, backend.open(path), found)
        tried[precision] = payoff.Tried(planned, backend.open(planned), report)
        with reporter.stage(f"{target.slug}: time {', '.join(tried)} turn by turn"):
            times = payoff.latencies({name: one.runner for name, one in tried.items()})
        forms = [payoff.form(name, one, times[name]) for name, one in tried.items()]
    return Payoff(forms=forms, verdict=payoff.verdict(forms))


def _bytes(program: ExportedProgram) -> int:
    """Of the program's weights, which toolchains write to their temporary files."""
    return sum(tensor.nbytes for tensor in program.state_dict.values())
