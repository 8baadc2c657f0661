"""A comparison as plain rows and sentences: what a terminal shows of it, and a page in part."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.evaluation.compare_report import CompareReport, Row

__all__ = ["SHOWN", "Column", "CompareTable", "Line", "missing", "table_of"]

_MANY = 2  # different ways of one figure that are told


@dataclass(frozen=True)
class Column:
    """A column: its title, and the figure in it; None for what is no figure."""

    title: str
    figure: str | None = None


@dataclass(frozen=True)
class Line:
    """A row: its cells, whether another row is better in all that counts, and whether it is the one to ship."""

    cells: tuple[str, ...]
    dominated: bool
    shipped: bool


@dataclass(frozen=True)
class CompareTable:
    """The verdict first, then the table, what to know of it, and how each figure was obtained."""

    verdict: list[str]
    errors: list[str]
    columns: list[Column]
    lines: list[Line]
    notes: list[str]
    how: list[tuple[str, str]]
    prices: list[str]


# Title, digits, and what a figure is divided by, in the order of the table; a quality comes before them.
SHOWN = {
    "min_cosine": ("min cosine", 4, 1.0),
    "latency_ms": ("ms", 2, 1.0),
    "memory_mb": ("peak MB", 0, 1.0),
    "size_mb": ("MB", 1, 1.0),
    "parameters": ("M params", 1, 1e6),
    "macs": ("M MACs", 0, 1e6),
    "core_hours_per_million": ("core h/million", 2, 1.0),
    "price_per_million": ("{}/million", 2, 1.0),
    "price_per_month": ("{}/month", 2, 1.0),
    "price_reembedding": ("{} re-embed", 2, 1.0),
    "price_installs": ("{} downloads", 2, 1.0),
}


def table_of(report: CompareReport) -> CompareTable:
    """The report in words. Figures that no row has are no columns."""
    quality = [name for name in (report.best, f"mixed.{report.best}") if "@" in name]
    titles = {name: name.replace(".", " ") for name in quality}
    titles |= {name: title.format(report.currency) for name, (title, _, _) in SHOWN.items()}
    had = [name for name in titles if any(name in row.figures for row in report.rows)]
    columns = [Column("model"), Column("target"), Column("precision"), *(Column(titles[name], name) for name in had)]
    lines = [
        Line(
            cells=(row.model, _target(row), row.precision, *(_cell(row, name) for name in had), _mark(row, report)),
            dominated=row.front is False or row.error is not None,
            shipped=row.name == report.answer.ship,
        )
        for row in report.rows
    ]
    return CompareTable(
        verdict=_verdict(report),
        errors=[f"{row.name}: not exported: {row.error}" for row in report.rows if row.error is not None],
        columns=[*columns, Column("front")],
        lines=lines,
        notes=_notes(report),
        how=[(titles[name], _how(report, name)) for name in had],
        prices=_prices(report),
    )


def _verdict(report: CompareReport) -> list[str]:
    answer, asked = report.answer, "" if report.where is None else f" under {report.where}"
    first = f"Ship {answer.ship}{asked}." if answer.ship else f"Ship none{asked}."
    return [first, *answer.why, *(f"Warning: {line}" for line in answer.warnings)]


def _notes(report: CompareReport) -> list[str]:
    lacking = [f"{', '.join(names)}: no {what}: {why}" for (what, why), names in missing(report).items()]
    return [*lacking, *report.notes]


def _prices(report: CompareReport) -> list[str]:
    unit = report.currency
    return [
        f"price of {row.name}: {row.price:g} {unit} per {row.per}, {row.date}, {row.source} {row.note}".strip()
        for row in report.prices
    ]


def missing(report: CompareReport) -> dict[tuple[str, str], list[str]]:
    """What is missing and why, and the rows that lack it."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in report.rows:
        for what, why in row.missing.items():
            groups.setdefault((what.replace("_ms", ""), why), []).append(row.name)
    return groups


def _target(row: Row) -> str:
    return f"{row.target} ({row.format})"


def _cell(row: Row, name: str) -> str:
    value = row.figures.get(name)
    if value is None:
        return "-"
    if name in SHOWN:
        _, digits, unit = SHOWN[name]
        return f"{value.value / unit:.{digits}f}"
    ends = "" if value.low is None or value.high is None else f" ({value.low:.2f}-{value.high:.2f})"
    return f"{value.value:.3f}{ends}"


def _mark(row: Row, report: CompareReport) -> str:
    """Where a row stands."""
    if row.error is not None:
        return "not exported"
    if row.name == report.answer.ship:
        return "SHIP"
    place = {True: "front", False: "", None: "-"}[row.front]
    return f"{place}, nearest".strip(", ") if row.name == report.answer.nearest else place


def _how(report: CompareReport, name: str) -> str:
    """In what ways a figure was obtained, each once."""
    ways = list(dict.fromkeys(row.figures[name].how for row in report.rows if name in row.figures))
    more = f"\nand {len(ways) - _MANY} more, which the JSON has" if len(ways) > _MANY else ""
    return "\n".join(ways[:_MANY]) + more
