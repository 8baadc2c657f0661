"""The page of a comparison: which row to ship and why, the plots of its front, all rows, and what each costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit.evaluation.compare_plots import measured, plots_of
from edgekit.evaluation.compare_report import CompareReport
from edgekit.evaluation.compare_report import Row as Judged
from edgekit.evaluation.compare_table import SHOWN, missing, table_of
from edgekit.report.document import Cell, Column, Command, Interval, Mark, Page, Row, Section, Table, Verdict
from edgekit.report.write import write_page

__all__ = ["page_of_comparison", "write_compare_page"]

_TIME = "latency_ms"
_FIRST = ("min_cosine", _TIME, "memory_mb", "size_mb")
_COSTS = tuple(name for name in SHOWN if name not in _FIRST)
_ABOUT = {
    "min_cosine": "parity: cosine of the worst image to the original",
    _TIME: "median of one inference",
    "memory_mb": "of the fresh process at its peak",
    "size_mb": "of the artifact, which a phone downloads; 1e6 bytes",
    "core_hours_per_million": "core hours for a million embeddings",
    "price_per_million": "a million embeddings on the instance, billed by the time that they take",
    "price_per_month": "whole instances for the stated traffic, for 30 days",
    "price_reembedding": "embedding the whole gallery again",
    "price_installs": "downloads of the artifact by all installs",
}


def write_compare_page(report: CompareReport, page: Path | str, commands: Sequence[tuple[str, str]] = ()) -> None:
    """Write a comparison as one HTML file; `commands` are what each gives, and its line.

    Raises:
        UsageError: the name of the page is not one.
        OutputError: the page cannot be written.
    """
    write_page(page_of_comparison(report, commands), Path(page))


def page_of_comparison(report: CompareReport, commands: Sequence[tuple[str, str]] = ()) -> Page:
    """The report as a document."""
    sections: list[Section] = [*plots_of(report), _all_rows(report), _costs(report)]
    if report.prices:
        sections.append(_prices(report))
    if lacking := missing(report):
        sections.append(_missing(lacking))
    sections.append(_how(report))
    return Page(
        "Which model to ship",
        _verdict(report),
        _facts(report),
        sections,
        [Command(*command) for command in commands],
        [_plain(note) for note in table_of(report).errors + report.notes],
    )


def _verdict(report: CompareReport) -> Verdict:
    answer = report.answer
    told, asked = table_of(report).verdict[0], "" if report.where is None else f" under {report.where}"
    if answer.ship is None:
        near = f"; nearest is {answer.nearest}" if answer.nearest else ""
        return Verdict(f"No row qualifies{asked}{near}.", "bad", answer.why, answer.warnings)
    return Verdict(told, "mixed" if answer.warnings else "good", answer.why, answer.warnings)


def _facts(report: CompareReport) -> list[tuple[str, str]]:
    made = [row for row in report.rows if row.error is None]
    timed = [row.figures[_TIME] for row in made if _TIME in row.figures]
    facts = [
        ("rows", f"{len(report.rows)}" + ("" if len(made) == len(report.rows) else f", {len(made)} exported")),
        ("best", report.best),
        ("limits", report.where or "none"),
        ("photos", report.data),
        ("tasks", ", ".join(report.tasks)),
    ]
    places = list(dict.fromkeys(value.measured for value in timed if value.measured))
    if places:
        facts.append(("latency measured on", ", ".join(f"the {place}" for place in places)))
        invalid = sum(bool(value.doubts) for value in timed)
        facts.append(("valid latencies", f"{len(timed) - invalid} of {len(timed)}"))
    return facts


def _all_rows(report: CompareReport) -> Table:
    """Quality, parity, latency and size of each row, and where it stands; costs stand in a table of their own."""
    quality = [name for name in (report.best, f"mixed.{report.best}") if "@" in name]
    names = [name for name in (*quality, *_FIRST) if any(name in row.figures for row in report.rows)]
    columns = [Column("row"), Column("stands", "state"), *(_column(report, name) for name in names)]
    parity = names.index("min_cosine") + 3 if "min_cosine" in names else len(columns)
    columns.insert(parity, Column("parity in", "state", about="a stand-in runs where the device's own runtime cannot"))
    timed = next((place + 1 for place, column in enumerate(columns) if column.name == "ms"), len(columns))
    columns.insert(timed, Column("measured on", "state"))
    rows = []
    for row in report.rows:
        cells: list[Cell] = [row.name, _stands(row, report), *(_cell(row, name) for name in names)]
        runtime = Mark("a stand-in", "mixed") if row.reference else Mark("its runtime")
        cells.insert(parity, runtime if "min_cosine" in row.figures else None)
        cells.insert(timed, _measured(row))
        rows.append(Row(cells, dim=row.front is False or row.error is not None))
    note = "Grey rows are dominated: another one is as good in quality, latency and size, and better in one."
    return Table("All rows", columns, rows, note)


def _costs(report: CompareReport) -> Table:
    names = [name for name in _COSTS if any(name in row.figures for row in report.rows)]
    columns = [Column("row"), Column("stands", "state"), *(_column(report, name) for name in ["size_mb", *names])]
    rows = [
        Row(
            [row.name, _stands(row, report), *(_cell(row, name) for name in ["size_mb", *names])],
            dim=row.front is False or row.error is not None,
        )
        for row in report.rows
    ]
    note = (
        "A core of the instance is taken to be as fast as the one that was measured. Reading and decoding photos, "
        "memory, storage, network between servers, discounts and taxes are left out."
    )
    return Table("What each row costs", columns, rows, note)


def _prices(report: CompareReport) -> Table:
    columns = [
        *(Column("name"), Column("price", "number", report.currency, digits=4), Column("per"), Column("date")),
        *(Column("source"), Column("note")),
    ]
    rows = [Row((row.name, row.price, row.per, row.date, row.source, row.note or None)) for row in report.prices]
    return Table("Prices", columns, rows)


def _missing(lacking: dict[tuple[str, str], list[str]]) -> Table:
    rows = [Row((what, _plain(why), ", ".join(names))) for (what, why), names in lacking.items()]
    return Table("What is missing", [Column("figure"), Column("why"), Column("rows")], rows)


def _how(report: CompareReport) -> Table:
    return Table(
        "How the figures were obtained", [Column("figure"), Column("how")], [Row(row) for row in table_of(report).how]
    )


def _plain(text: str) -> str:
    """A sentence of the library without the marks of its fields."""
    return text.replace("`", "")


def _column(report: CompareReport, name: str) -> Column:
    title, digits = name.replace(".", " "), 3
    if name in SHOWN:
        title, digits, _ = SHOWN[name]
    return Column(title.format(report.currency), "number", digits=digits, about=_ABOUT.get(name, ""))


def _cell(row: Judged, name: str) -> Cell:
    value = row.figures.get(name)
    if value is None:
        return None
    if name in SHOWN:
        return value.value / SHOWN[name][2]
    return value.value if value.low is None or value.high is None else Interval(value.value, value.low, value.high)


def _stands(row: Judged, report: CompareReport) -> Mark:
    """Where a row stands among the others."""
    if row.error is not None:
        return Mark("not exported", "bad")
    if row.name == report.answer.ship:
        return Mark("SHIP", "good")
    if row.name == report.answer.nearest:
        return Mark("nearest", "mixed")
    if row.value(report.best) is None:
        return Mark("cost without quality")
    return Mark({True: "front", False: "dominated", None: f"no {_TIME.split('_')[0]}"}[row.front])


def _measured(row: Judged) -> Mark | None:
    text = measured(row)
    if text is None:
        return None
    return Mark(text, "mixed" if row.figures[_TIME].doubts else "good" if text == "device" else "plain")
