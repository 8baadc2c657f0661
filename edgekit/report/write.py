"""A page as one HTML file: nothing is fetched, names are text whatever they contain, equal pages give equal bytes."""

from __future__ import annotations

import base64
import hashlib
import math
from functools import cache
from pathlib import Path
from typing import Any

from edgekit.errors import OutputError, UsageError
from edgekit.report import drawn, scatter
from edgekit.report.document import (
    Column,
    Interval,
    Mark,
    Page,
    PictureRows,
    Pictures,
    Point,
    Row,
    Scatter,
    Table,
    number,
)
from edgekit.support.files import write_atomically
from edgekit.support.text import human_size, shown

__all__ = ["MOST_BYTES", "check_name", "render", "style", "write_page"]

MOST_BYTES = 3_000_000  # of a page without its pictures, which come on top
_HERE = Path(__file__).parent
_STATES = {"bad": 0, "mixed": 1, "plain": 2, "good": 3}  # the order in which a column of marks is sorted


def check_name(page: Path | str | None) -> None:
    """Say of a file's name, before the work that fills it, whether it can be a page's.

    Raises:
        UsageError: it ends otherwise than pages do.
    """
    if page is not None and Path(page).suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"`page` is {shown(str(page), 80)}; give a file that ends in .html", field="page")


def write_page(page: Page, path: Path) -> None:
    """Write a page to `path`, all of it or nothing.

    Raises:
        OutputError: the page has too many rows to be read, or cannot be written.
    """
    html = render(page)
    if (size := len(html.encode()) - _bytes_of_pictures(page)) > MOST_BYTES:
        raise OutputError(
            f"{path}: the page would have {human_size(size)} beside its pictures, over the "
            f"{human_size(MOST_BYTES)} that a browser shows with ease; ask for fewer rows"
        )
    write_atomically(path, html)


def render(page: Page) -> str:
    """The page as the text of an HTML file."""
    from markupsafe import Markup

    script = (_HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return str(_template().render(page=page, style=Markup(style()), script=Markup(script), digest=digest))


def style() -> str:
    """The look of all pages, as CSS: colours by day and by night, type, tables and pictures."""
    return (_HERE / "page.css").read_text(encoding="utf-8")


@cache
def _template() -> Any:
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # What steers the direction of text could make a name look like another.
        finalize=lambda value: _safe(value) if type(value) is str else value,
    )
    environment.filters |= {"cell": _cell, "sorting": _sorting, "plot": scatter.plot_of, "plain": Markup}
    environment.filters["scales"] = drawn.scales_of
    environment.globals |= {"kind_of": lambda section: type(section).__name__, "as_table": _as_table}
    environment.globals |= {"area": scatter, "strip": drawn}
    return environment.get_template("page.html.jinja")


def _safe(text: str) -> str:
    return "\n".join(shown(line, None) for line in text.split("\n"))


def _cell(cell: object, column: Column) -> str:
    """What a cell says."""
    if isinstance(cell, Interval):
        value, low, high = (_end(end, column) for end in (cell.value, cell.low, cell.high))
        return f"{value} ({low} to {high})"
    if isinstance(cell, Mark):
        return cell.text
    if isinstance(cell, int | float):
        least = 10.0**-column.digits
        if column.tiny and 0 <= cell < least / 2:
            return f"< {number(least, column.digits)}"
        return number(cell, column.digits, signed=column.signed)
    return "-" if cell is None else str(cell)


def _end(value: float, column: Column) -> str:
    if math.isinf(value):
        return "-∞" if value < 0 else "∞"
    return number(value, column.digits, signed=column.signed)


def _sorting(cell: object) -> str:
    """What rows are sorted by, where that is not the text of the cell; empty where nothing is known."""
    if isinstance(cell, Interval):
        cell = cell.value
    if isinstance(cell, Mark):
        return f"{_STATES[cell.state]} {cell.text}"
    if isinstance(cell, int | float):
        return "" if number(cell, 0) == "-" else repr(float(cell))
    return "" if cell is None else str(cell)


def _as_table(plot: Scatter) -> Table:
    """The figures of a plot."""
    columns = [Column("point"), Column("group")]
    columns += [Column(axis.name, "number", axis.unit, axis.digits) for axis in (plot.x, plot.y)]
    columns += [Column("place", "state"), Column("more")]
    rows = [
        (point.label, point.group or None, point.x, point.y, _place(plot, point), point.detail or None)
        for point in plot.points
    ]
    used = [index for index in range(len(columns)) if any(row[index] is not None for row in rows)]
    kept = [Row([row[index] for index in used], point.dim) for row, point in zip(rows, plot.points, strict=True)]
    return Table(f"Figures of: {plot.title}", [columns[index] for index in used], kept)


def _place(plot: Scatter, point: Point) -> Mark | None:
    """Where a point stands among the others."""
    if point.chosen:
        return Mark(plot.ring, "good")
    if point.front and not plot.curve:
        return Mark("on the front", "good")
    return Mark(plot.grey) if point.dim else None


def _bytes_of_pictures(page: Page) -> int:
    shown_ = [picture for part in page.sections if isinstance(part, Pictures) for picture in part.pictures]
    for section in page.sections:
        if isinstance(section, PictureRows):
            shown_ += [picture for row in section.rows for picture in (row.query, *row.found)]
    return sum(len(picture.image or "") for picture in shown_)
