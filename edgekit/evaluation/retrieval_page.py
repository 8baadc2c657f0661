"""The page of an evaluation of retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit.evaluation.picture_folder import MOST_SHOWN, PictureFolder, check_page, pictured
from edgekit.evaluation.retrieval_report import Arrangement, Figure, RetrievalReport, Segment, WorstQuery
from edgekit.report.document import (
    Axis,
    Cell,
    Column,
    Command,
    Interval,
    Mark,
    Page,
    Picture,
    PictureRow,
    PictureRows,
    Point,
    Row,
    Scatter,
    Section,
    Table,
    Verdict,
)
from edgekit.report.write import write_page
from edgekit.support.progress import Reporter, Silent
from edgekit.support.text import shown

__all__ = ["check_page", "page_of_retrieval", "write_retrieval_page"]

_SEGMENTS, _NAMED = 1000, 3  # rows of the page; segments that the verdict names
_P = Column("p", "number", digits=4, tiny=True)


def write_retrieval_page(
    report: RetrievalReport,
    page: Path | str,
    pictures: Path | str | None = None,
    *,
    command: str = "",
    reporter: Reporter | None = None,
) -> None:
    """Write a report as one HTML file. With a folder of `pictures`, the worst queries are rows of them.

    Raises:
        InputError: the folder is not there, or holds no picture of the worst queries.
        UsageError: the name of the page is not one, or there are `pictures` and no worst queries.
        OutputError: the page cannot be written.
    """
    folder = check_page(page, pictures, len(report.worst))
    with (reporter or Silent()).stage("write the page") as tick:
        found, notes = pictured(
            report.worst, folder, lambda query, folder: _pictured(query, report.metric, folder), tick
        )
        write_page(page_of_retrieval(report, found, notes, command), Path(page))


def page_of_retrieval(
    report: RetrievalReport, pictures: Sequence[PictureRow] = (), notes: Sequence[str] = (), command: str = ""
) -> Page:
    """The report as a document; `pictures` are its worst queries, `notes` stand below those of the report."""
    facts = [
        ("task", report.task),
        ("queries", f"{report.queries:,}"),
        ("gallery", f"{report.gallery:,} rows"),
        ("listings that intervals draw", f"{report.units:,}"),
    ]
    if report.left_out:
        facts.append(("queries with nothing to find", f"{report.left_out:,}"))
    sections: list[Section] = [*_plot(report), _arrangements(report)]
    if report.segments:
        sections.append(_segments(report))
    if pictures:
        sections.append(PictureRows("Worst queries", pictures, _worst_note(report)))
    elif report.worst:
        sections.append(_worst_table(report))
    sections.append(_all_figures(report))
    commands = [Command("all figures of this page", command)] if command else []
    return Page("Retrieval", _verdict(report), facts, sections, commands, [*report.notes, *notes])


def _verdict(report: RetrievalReport) -> Verdict:
    """What became worse than the base, and who is served worse by the last arrangement."""
    last = report.arrangements[-1]
    worse = [row for row in report.segments if row.worse and row.arrangement == last.name]
    changes = [(row.name, row.change[report.metric]) for row in report.arrangements if row.change is not None]
    lost = [(name, change) for name, change in changes if change.high < 0]
    if not changes:
        figure = last.figures[report.metric]
        text = f"{report.metric} is {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
    elif not lost:
        text = f"No loss of {report.metric} against {report.base} is shown"
    else:
        amounts = sorted(-change.value for _, change in lost)
        amount = f"{amounts[0]:.3f}" + ("" if f"{amounts[0]:.3f}" == f"{amounts[-1]:.3f}" else f" to {amounts[-1]:.3f}")
        names = ", ".join(name for name, _ in lost)
        text = f"{names} lose{'s' * (len(lost) == 1)} {amount} of {report.metric} against {report.base}"
        text += "" if len(lost) == len(changes) else "; the others show no loss"
    if worse:
        named = ", ".join(f"{row.column} {shown(row.segment, 40)}" for row in worse[:_NAMED])
        more = f" and {len(worse) - _NAMED} more" if len(worse) > _NAMED else ""
        text += f"; {last.name} serves {named}{more} worse than average"
    if lost and len(lost) == len(changes):
        return Verdict(f"{text}.", "bad")
    return Verdict(f"{text}.", "mixed" if lost or worse else "good" if changes else "plain")


def _plot(report: RetrievalReport) -> list[Section]:
    """Figure over bytes, where there is a choice between arrangements."""
    rows, metric = report.arrangements, report.metric
    places = [(row.gallery_bytes / 1e6, row.figures[metric].value) for row in rows]
    if len({size for size, _ in places}) < 2 or not all(size for size, _ in places):
        return []
    front = [not any(_beats(other, place) for other in places) for place in places]
    points = [Point(row.name, *place, front=first) for row, place, first in zip(rows, places, front, strict=True)]
    axes = Axis("gallery", "MB", 2, log=True, better="low"), Axis(metric, better="high")
    return [Scatter("What each way to keep the gallery costs and gives", *axes, points)]


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] >= other[1]


def _arrangements(report: RetrievalReport) -> Table:
    columns = [
        Column("arrangement"),
        Column("queries of"),
        Column("gallery of"),
        Column("gallery", "number", "MB", 2),
        Column(report.metric, "number", about="with the 95 % interval of a bootstrap over listings"),
        Column(f"change from {report.base}", "number", signed=True, about="mean paired difference, 95 % interval"),
        _P,
        Column("verdict", "state"),
    ]
    rows = [Row(_arrangement(row, report.metric)) for row in report.arrangements]
    return Table(f"{report.metric} of each arrangement", columns, rows)


def _arrangement(row: Arrangement, metric: str) -> Sequence[Cell]:
    change = None if row.change is None else row.change[metric]
    mark = Mark("the base")
    if change is not None:
        mark = Mark("no loss shown", "good") if change.high >= 0 else Mark("worse", "bad")
        mark = Mark("better", "good") if change.low > 0 else mark
    own = (row.name, row.queries, row.gallery, row.gallery_bytes / 1e6, _interval(row.figures[metric]))
    return (*own, None if change is None else _interval(change), None if change is None else change.p, mark)


def _segments(report: RetrievalReport) -> Table:
    columns = [
        Column("segment"),
        Column("column"),
        Column("arrangement"),
        Column("queries", "number", digits=0),
        Column(report.metric, "number"),
        Column("below average by", "number", signed=True),
        _P,
        Column("served worse", "state"),
        Column("gap wider by", "number", signed=True, about=f"than that of {report.base}"),
        Column("p of that", "number", digits=4, tiny=True),
    ]
    found = sorted(report.segments, key=lambda row: (not row.worse, row.p))
    note = f"p-values are corrected for the number of segments of a column ({report.correction})."
    if len(found) > _SEGMENTS:
        note += f" The {_SEGMENTS} with the lowest p of {len(found)} are shown."
    return Table("Segments", columns, [Row(_segment(row)) for row in found[:_SEGMENTS]], note)


def _segment(row: Segment) -> Sequence[Cell]:
    gap, wider = _between(row.gap, row.gap_low, row.gap_high), None
    if row.widened is not None:
        wider = _between(row.widened, row.widened_low, row.widened_high)
    served = Mark("yes", "bad") if row.worse else Mark("not shown")
    names = (row.segment, row.column, row.arrangement)
    return (*names, row.queries, row.figure, gap, row.p, served, wider, row.widened_p)


def _worst_note(report: RetrievalReport) -> str:
    note = (
        f"The queries with the lowest {report.metric} of {report.arrangements[-1].name}, and the first that they found."
    )
    return note + (f" {MOST_SHOWN} of {len(report.worst)} are shown." if len(report.worst) > MOST_SHOWN else "")


def _pictured(query: WorstQuery, metric: str, folder: PictureFolder) -> PictureRow:
    first = f"first right one at place {query.first}" if query.first else "no right one in the list"
    facts = [*(f"{name} {text}" for name, text in query.columns.items()), f"{metric} {query.figure:.3f}", first]
    found = [
        Picture(folder.thumbnail(row.id), shown(row.id, 80), f"{row.score:.3f}", row.relevance > 0)
        for row in query.found
    ]
    detail = f"{', '.join(shown(fact, 80) for fact in facts)}, {query.relevant} in the gallery"
    return PictureRow(Picture(folder.thumbnail(query.id), shown(query.id, 80), detail), found)


def _worst_table(report: RetrievalReport) -> Table:
    columns = [
        Column("query"),
        Column(report.metric, "number"),
        Column("first right one", "number", digits=0, about="its place; a dash where none is listed"),
        Column("right ones", "number", digits=0, about="in the gallery"),
        Column("found"),
    ]
    rows = []
    for query in report.worst[:MOST_SHOWN]:
        found = "\n".join(f"{'✓' if row.relevance else '✗'} {shown(row.id, 80)} {row.score:.3f}" for row in query.found)
        rows.append(Row((shown(query.id, 80), query.figure, query.first or None, query.relevant, found)))
    return Table("Worst queries", columns, rows, f"{_worst_note(report)} ✓ is a right one.")


def _all_figures(report: RetrievalReport) -> Table:
    columns = [Column("figure"), *(Column(row.name, "number") for row in report.arrangements)]
    rows = [
        Row((name, *(_interval(row.figures[name]) for row in report.arrangements)))
        for name in report.arrangements[0].figures
    ]
    return Table("All figures", columns, rows)


def _interval(figure: Figure) -> Interval:
    return Interval(figure.value, figure.low, figure.high)


def _between(value: float, low: float | None, high: float | None) -> Cell:
    return value if low is None or high is None else Interval(value, low, high)
