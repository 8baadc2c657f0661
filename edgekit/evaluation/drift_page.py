"""The page of an evaluation of drift."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit.evaluation.drift_report import Check, DriftedItem, DriftReport
from edgekit.evaluation.picture_folder import MOST_SHOWN, PictureFolder, check_page, pictured
from edgekit.report.document import (
    Cell,
    Column,
    Command,
    Mark,
    Page,
    Picture,
    Pictures,
    Reach,
    Row,
    Section,
    Table,
    Verdict,
)
from edgekit.report.write import write_page
from edgekit.support.progress import Reporter, Silent
from edgekit.support.text import shown

__all__ = ["page_of_drift", "write_drift_page"]

_ROWS, _NAMED = 1000, 3  # rows of the page; checks that the verdict names


def write_drift_page(
    report: DriftReport,
    page: Path | str,
    pictures: Path | str | None = None,
    *,
    command: str = "",
    reporter: Reporter | None = None,
) -> None:
    """Write a report as one HTML file. With a folder of `pictures`, the items that drifted most are shown.

    Raises:
        InputError: the folder is not there, or holds no picture of those items.
        UsageError: the name of the page is not one, or there are `pictures` and no items.
        OutputError: the page cannot be written.
    """
    folder = check_page(page, pictures, len(report.items))
    with (reporter or Silent()).stage("write the page") as tick:
        found, notes = pictured(report.items, folder, _picture, tick)
        write_page(page_of_drift(report, found, notes, command), Path(page))


def page_of_drift(
    report: DriftReport, pictures: Sequence[Picture] = (), notes: Sequence[str] = (), command: str = ""
) -> Page:
    """The report as a document; `pictures` are its items, `notes` stand below those of the report."""
    churn, norms = report.churn, report.norms
    facts = [
        ("distance", report.distance),
        ("false alarms, at most", f"{report.alpha:.2%}"),
        ("mean length of a row", f"{norms.reference:.4f}, now {norms.current:.4f} ({norms.change:+.2%})"),
    ]
    if churn is not None:
        facts.append(("items in both files", f"{churn.items:,}, mean cosine {churn.mean_cosine:.4f}"))
        facts.append((f"of {churn.k} neighbours changed", f"{churn.changed:.1%}"))
    sections: list[Section] = [_tests(report)]
    if any(check.segment is not None for check in report.checks):
        sections.append(_mix(report))
    if pictures:
        sections.append(Pictures("Items that drifted most", pictures, _items_note(report)))
    elif report.items:
        sections.append(_items(report))
    commands = [Command("all figures of this page", command)] if command else []
    told = [note.replace("`", "") for note in report.notes]
    return Page("Drift", _verdict(report), facts, sections, commands, [*told, *notes])


def _verdict(report: DriftReport) -> Verdict:
    drifted = sorted((check for check in report.checks if check.drifted), key=lambda check: check.p or 0.0)
    tested = sum(check.p is not None for check in report.checks)
    if not drifted:
        return Verdict(f"No drift is shown by {tested} test{'s' * (tested > 1)}.", "good", _why(report))
    named = ", ".join(shown(check.name, 60) for check in drifted[:_NAMED])
    more = f" and {len(drifted) - _NAMED} more" if len(drifted) > _NAMED else ""
    level = f"{report.alpha:.2%} of false alarms for all together"
    found = f"{len(drifted)} of {tested} tests found a change, at {level}."
    return Verdict(f"The embeddings drifted, by the tests of {named}{more}.", "bad", [found, *_why(report)])


def _why(report: DriftReport) -> list[str]:
    """What a person can look at: the mix, and the neighbours."""
    why = []
    mixed = {check.column for check in report.checks if check.segment is None and check.drifted}
    moved = max((check for check in report.checks if check.segment is not None), key=_size_of_move, default=None)
    if moved is not None and moved.column in mixed:
        shares = f"{moved.share_reference:.1%} before, {moved.share_current:.1%} now"
        why.append(
            f"The mix of {shown(str(moved.column), 40)} changed, most of all {shown(str(moved.segment), 40)}: {shares}."
        )
    if report.churn is not None:
        changed = f"{report.churn.changed:.1%} are not the same any more"
        why.append(f"Of the {report.churn.k} nearest neighbours of an item, {changed}.")
    return why


def _size_of_move(check: Check) -> float:
    return abs(check.share_current - check.share_reference)


def _tests(report: DriftReport) -> Table:
    columns = [
        Column("rows"),
        Column("verdict", "state"),
        Column("p", "number", digits=4, tiny=True, about="corrected for the number of tests"),
        Column("statistic", "number", digits=5, about="about 0 without a change"),
        Column(
            "limit", "number", digits=5, about="what the statistic exceeds by chance as often as alarms may be false"
        ),
        Column("statistic over limit", "drawn", digits=2, lines=(0.0, 1.0)),
        Column("tested before", "number", digits=0),
        Column("tested now", "number", digits=0),
    ]
    note = "Red lines are the limits of single tests; p is corrected for all of them, and the verdict follows it."
    checks = report.checks[:_ROWS]
    if len(report.checks) > _ROWS:
        note += f" The first {_ROWS} of {len(report.checks)} are shown."
    return Table("Tests", columns, [Row(_test(check), dim=check.p is None) for check in checks], note)


def _test(check: Check) -> Sequence[Cell]:
    mark = (
        Mark("too few rows") if check.p is None else Mark("drifted", "bad") if check.drifted else Mark("no drift shown")
    )
    over = None
    if check.statistic is not None and check.limit:
        share = check.statistic / check.limit
        over = Reach(share, min(share, 0.0), max(share, 0.0), "bad" if check.drifted else "plain")
    figures = (check.p, check.statistic, check.limit, over)
    return (shown(check.name, 120), mark, *figures, check.tested_reference, check.tested_current)


def _mix(report: DriftReport) -> Table:
    columns = [Column("segment"), Column("column")]
    columns += [Column(name, "number", "%", 2) for name in ("before", "now")]
    columns += [Column("change", "number", "points", 2, signed=True), Column("change, drawn", "drawn", "points", 2)]
    rows = []
    for check in [check for check in report.checks if check.segment is not None][:_ROWS]:
        moved = 100 * (check.share_current - check.share_reference)
        drawn = Reach(moved, min(moved, 0.0), max(moved, 0.0))
        names = (shown(str(check.segment), 80), shown(str(check.column), 80))
        rows.append(Row((*names, 100 * check.share_reference, 100 * check.share_current, moved, drawn)))
    return Table("Shares of the rows", columns, rows)


def _items(report: DriftReport) -> Table:
    named = list(report.items[0].columns)
    columns = [Column("item"), Column("by", "number", digits=4), *(Column(shown(name, 60)) for name in named)]
    rows = [
        Row((shown(item.id, 80), item.by, *(shown(item.columns[name], 80) for name in named)))
        for item in report.items[:MOST_SHOWN]
    ]
    return Table("Items that drifted most", columns, rows, _items_note(report))


def _items_note(report: DriftReport) -> str:
    note = "By 1 - cosine to its own reference; a new item by how much farther the old rows are than the new ones."
    return note + (f" {MOST_SHOWN} of {len(report.items)} are shown." if len(report.items) > MOST_SHOWN else "")


def _picture(item: DriftedItem, folder: PictureFolder) -> Picture:
    facts = [f"by {item.by:.3f}", *(f"{name} {text}" for name, text in item.columns.items())]
    return Picture(folder.thumbnail(item.id), shown(item.id, 80), ", ".join(shown(fact, 80) for fact in facts))
