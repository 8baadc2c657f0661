"""The road of one target: rewrite, quantize, lower, verify, publish."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.artifact.describe import Made, describe
from edgekit.artifact.folder import publishing, write_manifest
from edgekit.artifact.manifest import Manifest, Payoff
from edgekit.errors import EdgeKitError, InconclusiveError, ModelError, ParityError
from edgekit.parity.report import FILENAME as PARITY
from edgekit.parity.report import ParityReport
from edgekit.parity.second_try import Attempt, try_again
from edgekit.pipeline.original import Original
from edgekit.pipeline.request import FLOATS, Export, ExportRequest
from edgekit.quantization.schemes import gates_for
from edgekit.support import interrupt
from edgekit.support.drafts import scratch
from edgekit.support.progress import Reporter
from edgekit.support.text import reason_of
from edgekit.targets import Coverage, LowerOptions, Precision, Target
from edgekit.targets.hazards import found

if TYPE_CHECKING:
    from torch import Tensor
    from torch.export import ExportedProgram

    from edgekit.graph import LeftOut
    from edgekit.graph.half import WideCall
    from edgekit.graph.levels import Levels
    from edgekit.parity.judge import Judge
    from edgekit.quantization import Plan

__all__ = ["Lane"]

_LOOKED_AT = 2  # images on which hazards of large values are looked for


@dataclass(frozen=True)
class _Rewritten:
    """The program as a target runs it best, quantized where there is a plan, and its values that are on few levels."""

    program: ExportedProgram
    counts: Mapping[str, int]
    left_out: Sequence[LeftOut]
    levels: Sequence[Levels] = ()


@dataclass
class Lane:
    """The road of one target: rewrite, quantize, lower, verify, publish."""

    request: ExportRequest
    target: Target
    model: Original
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

    @property
    def min_ios(self) -> int:
        """What the file needs; without meaning where the format is not one of iOS."""
        return self.target.ios_of(self.request.min_ios)

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
                made.report.write(draft / PARITY)
                if self.request.compare:
                    made = replace(made, payoff=self._compare(path, made.report, self.judge))
            manifest = describe(made, self.model.embedder, path)
            write_manifest(manifest, draft)
            interrupt.check()
        return manifest

    def _make(self, path: Path) -> tuple[Made, ExportedProgram]:
        """Rewrite, lower and verify, in half precision once more where that was not enough; and what was lowered."""
        request, rewritten = self.request, self.rewritten(self.request.plan)
        program, counts = rewritten.program, rewritten.counts
        calls: Sequence[WideCall] = ()
        options = LowerOptions(
            precision=self.floats,
            scheme=None if request.plan is None else request.plan.precision,
            min_ios=self.min_ios,
            dynamic_batch=request.dynamic_batch,
            metadata=request.recipe.metadata.model_dump(),
            levels=rewritten.levels,
        )
        coverage = self._lower(f"lower to {path.name}", program, path, options)
        interrupt.check()
        images: Sequence[Tensor] = ()
        if self.judge is not None:
            self.report = self._verify(path, self.precision, self.judge)
            last = Attempt(program, options, coverage, self.report)
            if self.report.verdict == "fail" and self.precision == "fp16":
                last = self._try_again(last, path, self.judge)
            program, options, coverage = last.program, last.options, last.coverage
            self.report, calls, counts = last.report, last.calls, {**counts, **last.counts}
            first = (picture.image[None] for picture in islice(self.judge.data, _LOOKED_AT))
            images = [self.judge.embedder.pixels(image) for image in first]
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
            hazards=found(program, self.target, options, path, images),
        )
        return made, program

    def rewritten(self, plan: Plan | None) -> _Rewritten:
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
        rows = graph.rows_of(self.target.rewrites, graph.SPECIALIZE)
        rest = graph.checked(quantized, rows, graph.probe(quantized, held.inputs))
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
            for floats in FLOATS:
                path = Path(folder) / f"{floats}{self.target.suffix}"
                options = LowerOptions(precision=floats, min_ios=self.min_ios)
                self._lower(f"lower to {floats} to compare", self.rewritten(None).program, path, options)
                candidates[floats] = Candidate(path, backend.open(path), self._verify(path, floats, judge))
            candidates[self.precision] = Candidate(planned, backend.open(planned), report)
            with self.reporter.stage(f"{self.target.key}: time {', '.join(candidates)} turn by turn"):
                return pay(candidates)
