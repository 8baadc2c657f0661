"""The page of every command that writes one, of results whose names may be an attack."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Literal

import numpy as np

from edgekit.bench.results.page import page_of_results
from edgekit.evaluation.choice import choose, marked
from edgekit.evaluation.compare_page import page_of_comparison
from edgekit.evaluation.compare_report import CompareReport, Price, Row, Value
from edgekit.evaluation.compatibility import CompatibilityReport, Way
from edgekit.evaluation.compatibility_page import page_of_compatibility
from edgekit.evaluation.drift_page import page_of_drift
from edgekit.evaluation.drift_report import Check, Churn, DriftedItem, DriftReport, Norms
from edgekit.evaluation.generative.page import page_of_generative
from edgekit.evaluation.generative.report import (
    Agreement,
    Example,
    GenerativeReport,
    Language,
    LanguageGap,
    Ranked,
    Reviewed,
    Unread,
)
from edgekit.evaluation.retrieval_page import page_of_retrieval
from edgekit.evaluation.retrieval_report import Arrangement, Change, Figure, FoundItem, RetrievalReport
from edgekit.evaluation.where import parse
from edgekit.experiment.canary import CanaryResult, Guardrail
from edgekit.experiment.pages import page_of_analysis, page_of_canary, page_of_plan
from edgekit.experiment.plan import ExperimentPlanRequest, plan_experiment
from edgekit.experiment.result import Arm, Assignment, Comparison, ExperimentResult, Look, Verdict
from edgekit.report.document import Page
from edgekit.report.pictures import thumbnail
from tests.bench.results.test_store import result
from tests.evaluation.rows import row, value
from tests.report.pages import every_kind

__all__ = ["ALL", "Answer", "analysis", "canary", "comparison", "compatibility", "drift", "generative", "retrieval"]

Answer = Literal["continue", "stop", "wait"]
State = Literal["kept", "broken", "open"]
STATES: dict[Answer, State] = {"continue": "kept", "stop": "broken", "wait": "open"}
WHERE = "latency_ms < 20 and size_mb < 8"


def comparison(name: str, doubts: list[str]) -> CompareReport:
    """Rows on and off the front, one without a latency, one of random weights, and one that could not be exported."""

    def timed(milliseconds: float) -> Value:
        return Value(value=milliseconds, how="median on a host", measured="host", doubts=doubts)

    rows = [
        row(f"{name} int8", recall=value(0.8, 0.7, 0.9), latency_ms=timed(9.0), size_mb=4.0, min_cosine=0.997),
        row(f"{name} fp32", recall=value(0.82, 0.7, 0.9), latency_ms=timed(80.0), size_mb=60.0, min_cosine=1.0),
        row("slow", recall=value(0.7, 0.6, 0.8), latency_ms=timed(90.0), size_mb=61.0, price_per_million=0.2),
        row("untimed", recall=0.9, size_mb=3.0),
        row("seeded", size_mb=2.0, latency_ms=timed(3.0)).model_copy(update={"missing": {"quality": "random weights"}}),
        row("broken", error=f"{name} cannot be lowered"),
    ]
    condition = parse(WHERE, ("latency_ms", "size_mb"))
    done: list[Row] = marked(rows, "recall@10", condition)
    cited = {"source": f"https://prices.example/{name}", "date": "2026-01-31", "note": ""}
    return CompareReport(
        data=name,
        tasks=["similar"],
        best="recall@10",
        where=WHERE,
        currency="EUR",
        prices=[Price(name="small", price=0.2, per="hour, 2 cores", **cited)],
        rows=done,
        answer=choose(done, "recall@10", condition),
        notes=[f"a note on `{name}`"],
    )


def drift(name: str) -> DriftReport:
    """One drifted segment of three, the last of which has too few rows."""
    tests = ((None, None, 0.9, 0.2), (name, None, 20.0, 0.001), (name, name, 0.5, 0.004), (name, "few", None, None))
    checks = [
        Check(
            column=column,
            segment=segment,
            share_reference=0.5,
            share_current=0.4,
            tested_reference=100,
            tested_current=90,
            statistic=statistic,
            limit=None if statistic is None else 1.0,
            p=p,
            drifted=p is not None and p < 0.01,
        )
        for column, segment, statistic, p in tests
    ]
    return DriftReport(
        alert=True,
        distance="energy",
        alpha=0.01,
        permutations=1999,
        checks=checks,
        norms=Norms(reference=1.0, current=1.1, change=0.1),
        churn=Churn(items=200, k=10, changed=0.25, mean_cosine=0.9),
        items=[DriftedItem(id=name, by=0.5, columns={name: name})],
        notes=[f"a note on {name}"],
    )


def compatibility(*, unchanged: float, adapter: float) -> CompatibilityReport:
    """The changes of recall of both ways to search the old gallery, each known to 0.005."""

    def way(name: str, change: float | None) -> Way:
        recall = Figure(value=0.9 + (change or 0.0), low=0.85, high=0.95)
        told = None
        if change is not None:
            told = Change(value=change, low=change - 0.005, high=change + 0.005, p=0.5)
        return Way(name=name, recall=recall, mrr=recall, change=told)

    return CompatibilityReport(
        k=10,
        max_drop=0.01,
        allowed=0.01,
        pairs=600,
        learned_from=300,
        queries=180,
        ways=[way("old", None), way("new", 0.02), way("unchanged", unchanged), way("least_squares", adapter)],
        chosen="least_squares",
        reindex=unchanged < -0.005,
        adapter_serves=adapter >= -0.005,
        verdict="A sentence of figures.",
        written=None,
    )


def analysis(
    name: str, *, broken: bool = False, verdicts: tuple[Verdict, ...] = ("better", "not shown")
) -> ExperimentResult:
    """A metric of each verdict, the first with two looks, the last without a relative effect."""
    rows = [
        Comparison(
            metric=f"{name} {number}",
            kind="rate",
            test="two proportions",
            arm=name,
            control_value=0.1,
            value=0.12,
            effect=0.02,
            low=0.01,
            high=0.03,
            p=1e-9,
            p_adjusted=2e-9,
            relative=None if number == len(verdicts) - 1 else 0.2,
            relative_low=None if number == len(verdicts) - 1 else 0.1,
            relative_high=None if number == len(verdicts) - 1 else 0.3,
            correlation=None,
            verdict=verdict,
            sentence=f"{name} is {verdict}.",
            looks=()
            if number
            else (Look(date(2026, 1, 1), 0.01, -0.02, 0.04, 0.5), Look(date(2026, 1, 2), 0.02, 0.01, 0.03, 0.01)),
        )
        for number, verdict in enumerate(verdicts)
    ]
    sizes = (Arm("control", 1000, 1000.0), Arm(name, 900 if broken else 1000, 1000.0))
    return ExperimentResult(
        control="control",
        alpha=0.05,
        correction="holm",
        sequential=2000,
        rows=2000,
        assignment=Assignment(sizes, 1e-6 if broken else 0.9, broken),
        comparisons=() if broken else tuple(rows),
    )


def canary(answer: Answer) -> CanaryResult:
    """A guardrail of the latency that decides, and one of the error rate that is kept."""
    state: State = STATES[answer]
    unbounded = None if state == "open" else 0.3
    latency = Guardrail(
        name="p95 latency",
        stable=80.0,
        canary=90.0,
        worse=0.125,
        low=-0.05,
        high=unbounded,
        limit=0.1,
        state=state,
        sentence="A sentence on the latency.",
    )
    errors = Guardrail(
        name="error rate",
        stable=0.01,
        canary=0.011,
        worse=0.001,
        low=-0.001,
        high=0.003,
        limit=0.005,
        state="kept",
        sentence="A sentence on the errors.",
    )
    return CanaryResult(answer=answer, requests={"stable": 5000, "canary": 500}, guardrails=(latency, errors))


def retrieval(name: str) -> RetrievalReport:
    """An arrangement that lost something against the original."""
    figures = {"recall@10": Figure(value=0.8, low=0.7, high=0.9)}
    lost = {"recall@10": Change(value=-0.1, low=-0.2, high=-0.05, p=0.001)}
    rows = [
        Arrangement(
            name=own, queries=name, gallery=name, form="plain", gallery_bytes=size, figures=figures, change=change
        )
        for own, size, change in (("original", 4000, None), (name, 1000, lost))
    ]
    return RetrievalReport(
        task="similar", metric="recall@10", base="original", queries=9, left_out=0, units=9, gallery=9,
        correction="holm", resamples=99, notes=[name], arrangements=rows, segments=[], worst=[],
    )  # fmt: skip


def generative(name: str) -> GenerativeReport:
    """Two models with a gap between two languages, pictures that are there and not, and a text that no one reads."""
    figure, lost = Figure(value=0.8, low=0.7, high=0.9), Change(value=-0.1, low=-0.2, high=-0.05, p=0.001)

    def ranked(own: str, change: dict[str, Change] | None) -> Ranked:
        gap = LanguageGap(value=0.2, low=0.1, high=0.3, best="en", worst="ja", p=0.002)
        return Ranked(
            name=own,
            sha256="0" * 64,
            kind="onnx",
            runtime="onnxruntime",
            figures={"recall@10": figure, "mrr@10": figure},
            languages={"en": figure, "ja": figure},
            gap=gap,
            change=change,
            real=figure,
        )

    found = [FoundItem(id=name, score=0.9, relevance=0), FoundItem(id="chair", score=0.8, relevance=1)]
    examples = [
        Example(id=f"{language}-1", language=language, text=name, picture=name, chosen=[name], right=True, found=found)
        for language in ("en", "ja")
    ]
    return GenerativeReport(
        metric="recall@10", generator=name, source=name, gallery_name=name, gallery=30, queries=3, judged=2, units=1,
        resamples=99, languages=[Language(language=one, queries=2, understood=1) for one in ("en", "ja")],
        unread=[Unread(id="en-2", language="en", text=name)],
        models=[ranked(name, None), ranked("other", {"all": lost, "ja": lost})],
        agreement=Agreement(models=3, rho=0.5, low=-0.5, high=1.0),
        review=Reviewed(rows=2, judged=2, stale=1, agreed=0.5, kappa=0.0), examples=examples, notes=[name],
    )  # fmt: skip


def _generative(name: str) -> Page:
    pixel = thumbnail(np.zeros((8, 8, 3), np.uint8))
    return page_of_generative(generative(name), {name: pixel}, {"chair": pixel}, notes=[name], command=name)


def _plan(name: str) -> Page:
    request = ExperimentPlanRequest(baseline=0.1, relative=0.05, daily=20_000)
    return page_of_plan(plan_experiment(request), request, f"edgekit experiment plan {name}")


# By what writes it; each is of results whose names are the given one.
ALL: dict[str, Callable[[str], Page]] = {
    "every kind of section": every_kind,
    "compare": lambda name: page_of_comparison(comparison(name, ["throttled"]), [("all", f"edgekit compare {name}")]),
    "bench report": lambda name: page_of_results([result(10, name=name), result(12, name="other", seed=1)], {}),
    "evaluate retrieval": lambda name: page_of_retrieval(retrieval(name), command=name),
    "evaluate drift": lambda name: page_of_drift(drift(name), command=name),
    "evaluate compatibility": lambda name: page_of_compatibility(compatibility(unchanged=-0.9, adapter=0.0), name),
    "evaluate generative": _generative,
    "experiment analyze": lambda name: page_of_analysis(analysis(name), name),
    "experiment canary": lambda name: page_of_canary(canary("wait"), name),
    "experiment plan": _plan,
}
