"""What a page says, without how it looks: verdict, figures, tables, plots, rows of pictures, commands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Axis",
    "Cell",
    "Column",
    "Command",
    "Drawing",
    "Guide",
    "Interval",
    "Mark",
    "Page",
    "Picture",
    "PictureRow",
    "PictureRows",
    "Pictures",
    "Point",
    "Reach",
    "Row",
    "Scatter",
    "Section",
    "State",
    "Table",
    "Verdict",
    "number",
]

State = Literal["good", "mixed", "bad", "plain"]  # plain: there is nothing to hold it against


@dataclass(frozen=True)
class Verdict:
    """What a reader who reads one sentence should know, and whether it is good news; then the reasons, and what makes
    the answer doubtful.
    """

    text: str
    state: State = "plain"
    why: Sequence[str] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Interval:
    """A figure with the ends of its interval, which may be infinite. Rows are sorted by the figure."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Reach(Interval):
    """An interval that is drawn, to the scale of its column: a dot for the figure, a line from end to end."""

    state: State = "plain"


@dataclass(frozen=True)
class Mark:
    """A word with a colour: passed, worse, on the front."""

    text: str
    state: State = "plain"


Cell = str | float | Interval | Mark | None


@dataclass(frozen=True)
class Column:
    """What the cells of a column are. `digits` are those behind the point, `signed` writes the plus of a change.

    A column of kind "drawn" holds intervals that are drawn below each other, with `lines` through all of them.
    """

    name: str
    kind: Literal["text", "number", "state", "drawn"] = "text"
    unit: str = ""
    digits: int = 3
    signed: bool = False
    tiny: bool = False  # what rounds to 0 is written as less than the last digit, as of a p-value
    about: str = ""  # what the figure means, shown when the pointer rests on the name
    lines: Sequence[float] = (0.0,)  # of a column that is drawn: no effect, and limits
    span: tuple[float, float] | None = None  # what its scale covers; None: everything that is finite


@dataclass(frozen=True)
class Row:
    """One cell a column; `dim` rows are grey: dominated, or not judged."""

    cells: Sequence[Cell]
    dim: bool = False


@dataclass(frozen=True)
class Table:
    """Rows that a reader can sort by each column."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    note: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError where a row is not as wide as the table, or a cell is not of its column's kind."""
        kinds: dict[str, tuple[type, ...]] = {
            **{"text": (str,), "number": (int, float, Interval), "state": (Mark,), "drawn": (Reach,)}
        }
        for row in self.rows:
            for column, cell in zip(self.columns, row.cells, strict=True):
                if cell is not None and not isinstance(cell, kinds[column.kind]):
                    raise ValueError(f"{self.title}: {cell!r} is no {column.kind}, which {column.name} holds")


@dataclass(frozen=True)
class Axis:
    """An axis of a plot; `better` says which end of it is wished for."""

    name: str
    unit: str = ""
    digits: int = 3
    log: bool = False
    better: Literal["low", "high"] | None = None

    @property
    def title(self) -> str:
        """The name with its unit, and which way is better."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.name}{unit}" + ("" if self.better is None else f" ({self.better}er is better)")


@dataclass(frozen=True)
class Point:
    """One point. Points of a group share a colour and a shape; those on the front are filled and joined by a line.

    `dim` points are grey, the `chosen` one has a ring; `detail` is said of it beside its figures.
    """

    label: str
    x: float
    y: float
    group: str = ""
    front: bool = False
    dim: bool = False
    chosen: bool = False
    detail: str = ""


@dataclass(frozen=True)
class Guide:
    """A line across a plot: a limit."""

    axis: Literal["x", "y"]
    value: float
    text: str


@dataclass(frozen=True)
class Scatter:
    """Points, such as quality over latency with the Pareto front. The page has their figures as a table, too.

    `grey` and `ring` say what it means to be dim, and to be chosen. On a `curve` the points of the front follow each
    other on a line, none of them better than another.
    """

    title: str
    x: Axis
    y: Axis
    points: Sequence[Point]
    note: str = ""
    guides: Sequence[Guide] = ()
    grey: str = "dominated"
    ring: str = "chosen"
    curve: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError where a point or a guide has no place: not finite, or not above 0 on a logarithmic axis."""
        places = [(point.label, axis, x) for point in self.points for axis, x in ((self.x, point.x), (self.y, point.y))]
        places += [(guide.text, self.x if guide.axis == "x" else self.y, guide.value) for guide in self.guides]
        for label, axis, value in places:
            if not math.isfinite(value) or (axis.log and value <= 0):
                raise ValueError(f"{self.title}: {label} has {axis.name} {value}, which has no place there")


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI of `pictures.thumbnail`, or None where there is none, and what is said of it."""

    image: str | None
    caption: str
    detail: str = ""
    right: bool | None = None  # whether it is what was searched for; None: that is not the question


@dataclass(frozen=True)
class PictureRow:
    """A query and what it found, the best first."""

    query: Picture
    found: Sequence[Picture]


@dataclass(frozen=True)
class PictureRows:
    """Queries as rows of pictures."""

    title: str
    rows: Sequence[PictureRow]
    note: str = ""


@dataclass(frozen=True)
class Pictures:
    """Pictures side by side, the first of them first."""

    title: str
    pictures: Sequence[Picture]
    note: str = ""


@dataclass(frozen=True)
class Drawing:
    """A plot that something else drew, as the text of an SVG that is known to be harmless; it stands on white."""

    title: str
    svg: str
    note: str = ""


Section = Table | Scatter | PictureRows | Pictures | Drawing


@dataclass(frozen=True)
class Command:
    """A command that makes figures of the page again."""

    gives: str
    line: str


@dataclass(frozen=True)
class Page:
    """A page: the verdict first, then facts, sections in their order, commands, and what should be known besides."""

    title: str
    verdict: Verdict
    facts: Sequence[tuple[str, str]] = ()
    sections: Sequence[Section] = ()
    commands: Sequence[Command] = ()
    notes: Sequence[str] = ()


def number(value: float | None, digits: int, *, signed: bool = False) -> str:
    """A figure as the page shows it; a dash for one that is not known or not finite."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:{'+' if signed else ''},.{digits}f}"
