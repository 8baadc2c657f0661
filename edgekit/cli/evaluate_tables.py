"""What a person sees of evaluations: tables, the verdict, and what should be known about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from edgekit.cli.console import figure, print_facts
from edgekit.cli.errors import in_options, warn
from edgekit.evaluation.compatibility import CompatibilityReport
from edgekit.evaluation.drift_report import Check, DriftReport
from edgekit.evaluation.retrieval_report import ALPHA, Arrangement, Figure, RetrievalReport, Segment
from edgekit.support.progress import table
from edgekit.support.text import human_size, shown

__all__ = ["show_compatibility", "show_drift", "show_retrieval"]

_LISTED = 5  # places of a worst query's list


def show_retrieval(report: RetrievalReport) -> None:
    """One row an arrangement; then segments and worst queries, where they were asked for."""
    names = list(report.arrangements[0].figures)
    deepest = max(int(name.split("@")[1]) for name in names)
    kept = [name for name in names if name.startswith("recall@") or name.endswith(f"@{deepest}")]
    others = [name for name in kept if name != report.metric]
    columns = ("arrangement", "gallery", f"{report.metric}, 95 % interval", f"change from {report.base}", "p", *others)
    _filled(
        f"{report.task}: {report.queries} queries in a gallery of {report.gallery}",
        columns,
        [_arrangement(row, report.metric, others) for row in report.arrangements],
        right=("gallery", "p", *others),
        spare=[name for name in others if name.startswith("precision@")],
    )
    if report.segments:
        judged = ("queries", "figure", "below average by", "p", "", "gap wider by", "p ")
        _filled(
            f"Segments by {report.metric}; p-values corrected ({report.correction})",
            ("column", "segment", "arrangement", *judged),
            [_segment(row) for row in report.segments],
            right=("queries", "figure", "p", "p "),
        )
        for line in _said_of_segments(report):
            click.echo(line)
    if report.worst:
        rows = []
        for query in report.worst:
            places = [f"{shown(row.id, 60)} {row.score:.3f}{' *' if row.relevance else ''}" for row in query.found]
            first = str(query.first or "-")
            rows.append((query.id, f"{query.figure:.3f}", first, str(query.relevant), "\n".join(places[:_LISTED])))
        columns = ("query", report.metric, "first relevant", "relevant", "found (* relevant)")
        table(f"Worst queries of {report.arrangements[-1].name}", columns, rows, right=columns[1:4])
    for note in report.notes:
        warn(note)


def _filled(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str],
    spare: Sequence[str] = (),
) -> None:
    """The table without columns in which no row has anything, as where there is nothing to compare with."""
    kept = [place for place in range(len(columns)) if any(row[place] not in ("", "-") for row in rows)]
    names = [columns[place] for place in kept]
    listed = [[row[place] for place in kept] for row in rows]
    table(title, names, listed, right=[name for name in right if name in names], spare=spare)


def show_drift(report: DriftReport) -> None:
    """One row a test, then the figures of both files, then the items that drifted most."""
    columns = ("rows", "in reference", "in current", "tested", "statistic", "limit without drift", "p", "verdict")
    rows = [_check(row) for row in report.checks]
    table(f"Drift, by {report.distance} distance; p-values corrected", columns, rows, right=columns[1:7])
    churn, norms = report.churn, report.norms
    facts = {"mean length of a row": f"{norms.reference:.4f}, now {norms.current:.4f} ({norms.change:+.2%})"}
    if churn is not None:
        facts["items in both files"] = f"{churn.items}, mean cosine {churn.mean_cosine:.4f}"
        facts[f"of {churn.k} neighbours changed"] = f"{churn.changed:.1%}"
    print_facts("Both files", facts)
    if report.items:
        named = list(report.items[0].columns)
        table(
            "Items that drifted most",
            ("item", "by", *named),
            [(item.id, f"{item.by:.4f}", *(item.columns[name] for name in named)) for item in report.items],
            right=("by",),
        )
    for note in report.notes:
        warn(in_options(note))


def show_compatibility(report: CompatibilityReport, adapter: Path | None) -> None:
    """One row a way to search, then the verdict."""
    rows = []
    for way in report.ways:
        name = f"{way.name}{' (chosen)' if way.name == report.chosen else ''}"
        change = "-" if way.change is None else f"{_signed(way.change)}"
        p = "-" if way.change is None else _p(way.change.p)
        rows.append((name, _interval(way.recall), change, p, f"{way.mrr.value:.3f}"))
    columns = ("queries of", f"recall@{report.k}, 95 % interval", "change from old", "p", f"mrr@{report.k}")
    table(
        f"Compatibility: {report.queries} queries among {report.pairs} photos", columns, rows, right=("p", columns[4])
    )
    click.echo(report.verdict)
    if adapter is not None:
        click.echo(str(adapter))


def _arrangement(row: Arrangement, metric: str, others: list[str]) -> tuple[str, ...]:
    change = None if row.change is None else row.change[metric]
    return (
        row.name,
        human_size(row.gallery_bytes),
        _interval(row.figures[metric]),
        "-" if change is None else _signed(change),
        "-" if change is None else _p(change.p),
        *(f"{row.figures[name].value:.3f}" for name in others),
    )


def _segment(row: Segment) -> tuple[str, ...]:
    return (
        row.column,
        row.segment,
        row.arrangement,
        str(row.queries),
        f"{row.figure:.3f}",
        _ends(row.gap, row.gap_low, row.gap_high),
        _p(row.p),
        "worse" if row.worse else "",
        "-" if row.widened is None else _ends(row.widened, row.widened_low, row.widened_high),
        "-" if row.widened_p is None else _p(row.widened_p),
    )


def _said_of_segments(report: RetrievalReport) -> list[str]:
    """Of each arrangement which segments it serves worse, and where its gap is wider than the base's."""
    lines = []
    for arrangement in report.arrangements:
        own = [row for row in report.segments if row.arrangement == arrangement.name]
        worse = [f"{_called(row)} (by {row.gap:.3f})" for row in own if row.worse]
        wider = [
            f"{_called(row)} (by {row.widened:.3f})"
            for row in own
            if row.widened is not None and row.widened_p is not None and row.widened_p <= ALPHA
        ]
        said = f"serves worse than average: {', '.join(worse)}" if worse else "no segment is shown to be served worse"
        more = f"; gap wider than in {report.base}: {', '.join(wider)}" if wider else ""
        lines.append(f"{arrangement.name}: {said}{more}")
    return lines


def _called(row: Segment) -> str:
    return f"{shown(row.column, 40)}={shown(row.segment, 40)}"


def _check(row: Check) -> tuple[str, ...]:
    verdict = "too few rows" if row.p is None else "drifted" if row.drifted else "no drift shown"
    return (
        row.name,
        f"{row.share_reference:.1%}",
        f"{row.share_current:.1%}",
        f"{row.tested_reference} / {row.tested_current}",
        figure(row.statistic, 5),
        figure(row.limit, 5),
        "-" if row.p is None else _p(row.p),
        verdict,
    )


def _interval(row: Figure) -> str:
    return f"{row.value:.3f}  {row.low:.3f} to {row.high:.3f}"


def _signed(row: Figure) -> str:
    return _ends(row.value, row.low, row.high)


def _ends(value: float, low: float | None, high: float | None) -> str:
    ends = "" if low is None or high is None else f"  {low:+.3f} to {high:+.3f}"
    return f"{value:+.3f}{ends}"


def _p(value: float) -> str:
    return f"{value:.4f}" if value < 0.1 else f"{value:.2f}"
