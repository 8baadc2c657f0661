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

from edgekit import targets
from edgekit.artifact.describe import Made, describe
from edgekit.artifact.folder import publishing, write_manifest
from edgekit.artifact.manifest import Manifest, Payoff
from edgekit.data.datasets import Pictures, pictures
from edgekit.errors import EdgeKitError, InconclusiveError, ModelError, ParityError, UsageError
from edgekit.parity.report import ParityReport
from edgekit.parity.second_try import Attempt, try_again
from edgekit.quantization.schemes import gates_for
from edgekit.recipe import Recipe, resolve_model
from edgekit.support import interrupt
from edgekit.support.drafts import scratch, sweep
from edgekit.support.fields import AnyPath, Converted, OptionalPath, PathField, check_number, optional_path
from edgekit.support.progress import Reporter, Silent
from edgekit.support.text import reason_of
from edgekit.support.threads import one_thread
from edgekit.targets import Coverage, LowerOptions, Precision, Target

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from edgekit.graph import Checked, LeftOut, Probe
    from edgekit.graph.half import WideCall
    from edgekit.graph.levels import Levels
    from edgekit.model.embedder import Embedder
    from edgekit.parity.judge import Judge
    from edgekit.quantization import Plan

__all__ = ["Export", "ExportRequest", "ExportResult", "export"]

_FLOATS: tuple[Precision, ...] = ("fp32", "fp16")
_LOOKED_AT = 16  # parity images whose tensors are held against the plan's ranges


def _plan_of(given: Plan | AnyPath | None) -> Plan | None:
    if not isinstance(given, Path | str):
        return given
    from edgekit.quantization import read_plan

    return read_plan(Path(given))


@dataclass(frozen=True)
class ExportRequest:
    """What to export, to where, and how to check it. Recipe and targets may be names, as on the command line."""

    recipe: Converted[Recipe | Path | str | None, Recipe] = Converted(resolve_model)
    targets: Converted[str | Sequence[Target | str], Sequence[Target]] = Converted(targets.select)
    out: PathField = Converted(Path, Path("exported"))
    precision: Precision | Literal["int8"] | None = None  # None: each target's; with a plan, of what it leaves in float
    plan: Converted[Plan | AnyPath | None, Plan | None] = Converted(_plan_of, None)
    min_ios: int = 16
    dynamic_batch: bool = False
    input_dtype: str = "float32"
    images: OptionalPath = Converted(optional_path, None)  # None: the synthetic catalogue
    samples: int = 64
    allow_inconclusive: bool = False
    verify: bool = True
    compare: bool = False  # with a plan: also make the float forms, and say whether the plan pays

    def __post_init__(self) -> None:
        """Raises UsageError where a value is none of those that can be meant."""
        check_number("min_ios", self.min_ios, 1)
        check_number("samples", self.samples, 2)
        for field, allowed in (("precision", (None, *_FLOATS, "int8")), ("input_dtype", ("float32", "uint8"))):
            if (value := getattr(self, field)) not in allowed:
                names = ", ".join(name for name in allowed if name)
                raise UsageError(f"`{field}` is {value!r}; choose from {names}", field=field)


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
def export(request: ExportRequest, reporter: Reporter | None = None) -> ExportResult:
    """Travel the road once for all targets; each artifact that passes parity is published, the others are not.

    Raises:
        EdgeKitError: something before the targets failed. What fails within a target is in its `Export.error`.
    """
    reporter = reporter or Silent()
    _refuse_unfit(request)
    for left in sweep(request.out):
        reporter.note(f"removed {left}, which an export that was killed had left")
    model = _capture(request, reporter)
    embedder = model.embedder
    if request.plan is not None:
        from edgekit.model.embedder import state_sha256

        request.plan.check_fits(state_sha256(embedder), embedder.spec.size)
    data = pictures(request.images, request.samples, embedder.spec, reporter)
    if request.precision == "int8":
        plan, data = _plan(request, model, data, reporter)
        request = replace(request, plan=plan, precision=None)
    judge = None
    if request.verify:
        from edgekit.parity.judge import judge_of

        if request.plan is not None:
            _warn_of_domain_shift(request.plan, model, data, reporter)
        judge = judge_of(embedder, data, reporter)
    return ExportResult([_Lane(request, target, model, judge, reporter).travel() for target in request.targets])


def _refuse_unfit(request: ExportRequest) -> None:
    """What can be seen to fail before any work is done."""
    from edgekit.quantization.plan import check_target

    plan, planned = request.plan, request.plan is not None or request.precision == "int8"
    if request.compare and not (request.verify and planned):
        raise UsageError(
            '`compare` needs a plan or `precision="int8"`, and images: leave out `verify=False`', field="compare"
        )
    if request.precision == "int8" and plan is not None:
        raise UsageError('`precision="int8"` makes a plan of its own: leave out `plan`', field="precision")
    for target in request.targets:
        target.backend()
        targets.check_request(
            target, min_ios=request.min_ios, dynamic_batch=request.dynamic_batch, input_dtype=request.input_dtype
        )
        if not planned:
            continue
        if target.forms is None:
            raise UsageError(f"a plan cannot be lowered to {target.key}; export it to ios (coreml), android or onnx")
        check = check_target if plan is None else plan.check_target
        check(target.forms, request.min_ios)
        if request.dynamic_batch or request.input_dtype == "uint8":
            raise UsageError('a plan is for one float32 image: leave out `dynamic_batch` and `input_dtype="uint8"`')


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

    @property
    def weight_bytes(self) -> int:
        """Of the program's weights, which toolchains write to their temporary files."""
        return sum(tensor.nbytes for tensor in self.program.state_dict.values())


def _capture(request: ExportRequest, reporter: Reporter) -> _Model:
    from edgekit import graph
    from edgekit.model.build import build, probe

    embedder = build(request.recipe, reporter, uint8_input=request.input_dtype == "uint8")
    with reporter.stage("capture the graph"):
        program = graph.capture(embedder, embedder.example(), dynamic_batch=request.dynamic_batch, note=reporter.note)
        return _Model(embedder, program, probe(embedder))


def _plan(request: ExportRequest, model: _Model, data: Pictures, reporter: Reporter) -> tuple[Plan, Pictures]:
    """The plan `auto` that keeps the recipe's own gates, and the images to judge the files on.

    It is calibrated on the catalogue, or where `data` are a folder, on a part of it that does not judge.
    """
    from edgekit import quantization
    from edgekit.data.images import Folder
    from edgekit.quantization.halves import halves

    gates = request.recipe.gates.int8
    settings = quantization.Settings(
        min_cosine=gates.min_cosine, max_recall_drop=min(gates.max_recall_drop, quantization.Settings.max_recall_drop)
    )
    parts = halves(data) if isinstance(data, Folder) else None
    if parts is not None:
        data = parts[1]
    prepared = model.prepared().program
    return quantization.plan_of(request.recipe, model.embedder, prepared, settings, reporter, parts).plan, data


def _warn_of_domain_shift(plan: Plan, model: _Model, data: Pictures, reporter: Reporter) -> None:
    from edgekit.quantization.calibrate import domain_shift

    few = [picture.image for picture in islice(data, _LOOKED_AT)]
    with reporter.stage(f"compare {len(few)} images with the plan's ranges"):
        warning = domain_shift(model.prepared().program, plan, few)
    if warning is not None:
        reporter.note(warning)


@dataclass(frozen=True)
class _Rewritten:
    """The program as a target runs it best, quantized where there is a plan, and its values that are on few levels."""

    program: ExportedProgram
    counts: Mapping[str, int]
    left_out: Sequence[LeftOut]
    levels: Sequence[Levels] = ()


@dataclass
class _Lane:
    """The road of one target: rewrite, quantize, lower, verify, publish."""

    request: ExportRequest
    target: Target
    model: _Model
    judge: Judge | None
    reporter: Reporter
    report: ParityReport | None = None  # the last one of the file, whatever becomes of it

    @property
    def precision(self) -> str:
        """What the file is called after: of its numbers, or the plan's."""
        return self.floats if self.request.plan is None else self.request.plan.precision

    @property
    def floats(self) -> Precision:
        """The precision of what no plan makes integers."""
        asked = self.request.precision
        return self.target.precision if asked is None or asked == "int8" else asked

    def travel(self) -> Export:
        """One artifact; an error holds back this target only."""
        started = time.perf_counter()
        name = self.request.recipe.name
        folder = self.request.out / f"{name}-{self.target.key}-{self.precision}"
        manifest: Manifest | None = None
        error: EdgeKitError | None = None
        try:
            manifest = self._publish(folder, f"{name}{self.target.suffix}")
        except (ParityError, InconclusiveError) as missed:
            error = type(missed)(f"{missed}; nothing was published", field=missed.field)
        except EdgeKitError as failed:
            error = failed
        except OSError:
            raise
        except Exception as unexpected:  # one target's surprise is not to cost the user the other targets
            reason = f"{reason_of(unexpected)} ({type(unexpected).__name__})"
            error = ModelError(f"{self.target.key}: {self.target.format} cannot take this model: {reason}")
            error.__cause__ = unexpected
        seconds = time.perf_counter() - started
        return Export(self.target, self.precision, folder, seconds, manifest, self.report, error)

    def _publish(self, folder: Path, name: str) -> Manifest:
        """Make, judge and describe the file in a draft of `folder`."""
        with publishing(folder) as draft, scratch(self.model.weight_bytes):
            path = draft / name
            made, lowered = self._make(path)
            if self.judge is not None and made.report is not None:
                self._refuse_missed(made.report, lowered, self.judge)
                made.report.write(draft / "parity.json")
                if self.request.compare:
                    made = replace(made, payoff=self._compare(path, made.report, self.judge))
            manifest = describe(made, self.model.embedder, path)
            write_manifest(manifest, draft)
            interrupt.check()
        return manifest

    def _make(self, path: Path) -> tuple[Made, ExportedProgram]:
        """Rewrite, lower and verify, in half precision once more where that was not enough; and what was lowered."""
        request, rewritten = self.request, self._rewrite(self.request.plan)
        program, counts = rewritten.program, rewritten.counts
        calls: Sequence[WideCall] = ()
        options = LowerOptions(
            precision=self.floats,
            scheme=None if request.plan is None else request.plan.precision,
            min_ios=request.min_ios,
            dynamic_batch=request.dynamic_batch,
            metadata=request.recipe.metadata.model_dump(),
            levels=rewritten.levels,
        )
        coverage = self._lower(f"lower to {path.name}", program, path, options)
        interrupt.check()
        if self.judge is not None:
            self.report = self._verify(path, self.precision, self.judge)
            last = Attempt(program, options, coverage, self.report)
            if self.report.verdict == "fail" and self.precision == "fp16":
                last = self._try_again(last, path, self.judge)
            program, coverage, self.report, calls = last.program, last.coverage, last.report, last.calls
            counts = {**counts, **last.counts}
        made = Made(
            recipe=request.recipe,
            target=self.target,
            precision=self.precision,
            plan=request.plan,
            options=options,
            input_dtype=request.input_dtype,
            coverage=coverage,
            rewrites=counts,
            left_out=rewritten.left_out,
            float32_calls=calls,
            report=self.report,
        )
        return made, program

    def _rewrite(self, plan: Plan | None) -> _Rewritten:
        """Rewrite, each program held against the one before it; what is left out is told."""
        from edgekit import graph

        title = "rewrite the graph" if plan is None else "rewrite and quantize the graph"
        with self.reporter.stage(f"{self.target.key}: {title}"):
            if plan is None:
                rows = graph.rows_of(self.target.rewrites)
                rewritten = _Rewritten(*graph.checked(self.model.program, rows, self.model.held))
            else:
                rewritten = self._quantize(plan)
        for item in rewritten.left_out:
            self.reporter.note(
                f"{self.target.key}: the rewrite {item.rewrite} is left out for this model: {item.why} "
                f"({item.op} in {item.module})"
            )
        return rewritten

    def _quantize(self, plan: Plan) -> _Rewritten:
        """Prepare, put the plan's integers in, and specialize: held against what the rounding made of the images."""
        from edgekit import graph, quantization

        prepared, held = self.model.prepared(), self.model.held
        assert self.target.forms is not None
        quantized, levels = quantization.apply(prepared.program, plan, self.target.forms)
        rounded = graph.probe(lambda image: graph.run_program(quantized, image), held.inputs)
        rest = graph.checked(quantized, graph.rows_of(self.target.rewrites, graph.SPECIALIZE), rounded)
        counts = Counter(prepared.counts) + Counter(rest.counts)
        names = {**prepared.counts, **rest.counts}  # a Counter drops what was applied zero times
        return _Rewritten(
            rest.program, {name: counts[name] for name in names}, prepared.left_out + rest.left_out, levels
        )

    def _lower(self, title: str, program: ExportedProgram, path: Path, options: LowerOptions) -> Coverage:
        with self.reporter.stage(f"{self.target.key}: {title}"):
            return self.target.backend().lower(program, path, options)

    def _verify(self, path: Path, precision: str, judge: Judge) -> ParityReport:
        with self.reporter.stage(f"{self.target.key}: verify on {len(judge.data)} images") as tick:
            return judge.report(
                self.target.backend().open(path), self.request.recipe.gates.of(gates_for(precision)), tick
            )

    def _try_again(self, first: Attempt, path: Path, judge: Judge) -> Attempt:
        """A file in half precision that missed its gates, made again with a few operators in float32."""

        def make(title: str, program: ExportedProgram, options: LowerOptions) -> tuple[Coverage, ParityReport]:
            return self._lower(title, program, path, options), self._verify(path, "fp16", judge)

        return try_again(first, self.target, judge.data, make, self.reporter)

    def _refuse_missed(self, report: ParityReport, lowered: ExportedProgram, judge: Judge) -> None:
        try:
            report.raise_for_verdict(allow_inconclusive=self.request.allow_inconclusive)
        except ParityError as missed:
            step = judge.step_to_blame(report, lowered, precision=self.precision, format=self.target.format)
            raise ParityError(f"{missed}; {step}") from missed

    def _compare(self, planned: Path, report: ParityReport, judge: Judge) -> Payoff:
        """The planned file beside fp32 and fp16 of the same program, made in a folder that is gone afterwards."""
        from edgekit.artifact.payoff import Candidate, pay

        backend, candidates = self.target.backend(), dict[str, Candidate]()
        with tempfile.TemporaryDirectory() as folder:
            for floats in _FLOATS:
                path = Path(folder) / f"{floats}{self.target.suffix}"
                options = LowerOptions(precision=floats, min_ios=self.request.min_ios)
                self._lower(f"lower to {floats} to compare", self._rewrite(None).program, path, options)
                candidates[floats] = Candidate(path, backend.open(path), self._verify(path, floats, judge))
            candidates[self.precision] = Candidate(planned, backend.open(planned), report)
            with self.reporter.stage(f"{self.target.key}: time {', '.join(candidates)} turn by turn"):
                return pay(candidates)
