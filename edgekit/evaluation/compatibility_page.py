"""The page of an evaluation of compatibility: must the old gallery be embedded again?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit.evaluation.compatibility import CompatibilityReport, Way
from edgekit.report.document import Cell, Column, Command, Interval, Mark, Page, Reach, Row, State, Table, Verdict
from edgekit.report.write import write_page

__all__ = ["page_of_compatibility", "write_compatibility_page"]

_WAYS = {
    "old": "the old model in its own gallery",
    "new": "the new model in its own gallery, embedded again",
    "unchanged": "the new model's queries as they are, in the old gallery",
}
_ANSWERS: tuple[tuple[str, State], ...] = (
    ("The old gallery need not be embedded again.", "good"),
    ("Embed the old gallery again; until then the {} adapter serves.", "mixed"),
    ("Embed the old gallery again; no adapter serves until then.", "bad"),
)
_FAR = 0.1  # of recall, or ten times what may be lost: ways that lose more lie beyond the scale


def write_compatibility_page(report: CompatibilityReport, page: Path | str, *, command: str = "") -> None:
    """Write a report as one HTML file.

    Raises:
        OutputError: the page cannot be written.
    """
    write_page(page_of_compatibility(report, command), Path(page))


def page_of_compatibility(report: CompatibilityReport, command: str = "") -> Page:
    """The report as a document."""
    facts = [
        ("queries that judge", f"{report.queries:,}"),
        ("photos of the gallery", f"{report.pairs:,}"),
        ("pairs that adapters learned from", f"{report.learned_from:,}"),
        (f"recall@{report.k} that may be lost", f"{report.allowed:.2%}"),
        ("adapter", report.chosen.replace("_", " ")),
    ]
    if report.written is not None:
        facts.append(("written as", report.written))
    text, state = _ANSWERS[report.reindex and (1 + (not report.adapter_serves))]
    verdict = Verdict(text.format(report.chosen.replace("_", " ")), state, [report.verdict])
    commands = [Command("all figures of this page", command)] if command else []
    return Page("Compatibility with the old gallery", verdict, facts, [_ways(report)], commands)


def _ways(report: CompatibilityReport) -> Table:
    columns = [
        Column("way to search"),
        Column(f"recall@{report.k}", "number"),
        Column("change from the old model", "number", signed=True, about="mean paired difference, 95 % interval"),
        Column("change, drawn", "drawn", lines=(0.0, -report.allowed), span=_span(report)),
        Column("p", "number", digits=4, tiny=True),
        Column(f"mrr@{report.k}", "number"),
        Column("verdict", "state"),
    ]
    note = (
        "A way serves if its whole interval lies right of the red line, which is what may be lost. No adapter was "
        "learned from these queries, or chosen on them."
    )
    return Table("Ways to search, with 95 % intervals", columns, [Row(_way(way, report)) for way in report.ways], note)


def _span(report: CompatibilityReport) -> tuple[float, float]:
    """From where to where changes are drawn."""
    far = -max(_FAR, 10 * report.allowed)
    ends = [end for way in report.ways if way.change is not None for end in (way.change.low, way.change.high)]
    near = [-report.allowed, 0.0, *(end for end in ends if end >= far)]
    return min(near), max(near)


def _way(way: Way, report: CompatibilityReport) -> Sequence[Cell]:
    adapter = f"through the {way.name.replace('_', ' ')} adapter{' (chosen)' if way.name == report.chosen else ''}"
    change, mark, drawn = way.change, Mark("the base"), None
    if change is not None:
        serves = change.low >= -report.allowed
        mark = Mark("serves", "good") if serves else Mark("may lose more", "bad")
        drawn = Reach(change.value, change.low, change.high, mark.state)
    recall, mrr = (Interval(figure.value, figure.low, figure.high) for figure in (way.recall, way.mrr))
    told = None if change is None else Interval(change.value, change.low, change.high)
    return (_WAYS.get(way.name, adapter), recall, told, drawn, None if change is None else change.p, mrr, mark)
