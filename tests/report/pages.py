"""Pages that the tests of this room look at, with hostile names in every place that takes a name."""

from __future__ import annotations

import math

import numpy as np

from edgekit.report.document import (
    Axis,
    Column,
    Command,
    Drawing,
    Guide,
    Interval,
    Mark,
    Page,
    Picture,
    PictureRow,
    PictureRows,
    Pictures,
    Point,
    Reach,
    Row,
    Scatter,
    Table,
    Verdict,
)
from edgekit.report.pictures import thumbnail

__all__ = ["HOSTILE", "every_kind", "hostile"]

HOSTILE = (
    "</title></style></script><script>document.title='owned'</script><img src=x onerror=document.title='owned'>"
    """'" onfocus="document.title='owned'" {{ 7*7 }}"""
)
SVG = '<svg viewBox="0 0 40 20" role="img" aria-label="a line"><path d="M0 20L40 0" stroke="#D55E00"/></svg>'


def every_kind(name: str = "catalog-b0") -> Page:
    """A page with each kind of section; every text is, or holds, `name`."""
    rng = np.random.default_rng(0)
    shots = [thumbnail(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)) for _ in range(3)]
    points = [
        Point(f"{name} fp32", 8.0, 0.91, name, front=True),
        Point(f"{name} int8", 3.0, 0.9, name, front=True),
        Point("other", 9.0, 0.85, "another group"),
    ]
    columns = [
        Column("variant", about=name),
        Column("p50", "number", "ms", 2),
        Column("recall", "number"),
        Column("change", "number", signed=True),
        Column("front", "state"),
    ]
    rows = [
        Row((f"{name} 10", 8.0, Interval(0.91, 0.9, 0.92), None, Mark("the base"))),
        Row((f"{name} 9", 3.0, Interval(0.9, 0.89, 0.91), Interval(-0.01, -0.02, 0.0), Mark("no loss", "good"))),
        Row((f"{name} 2", None, Interval(0.85, 0.8, 0.9), Interval(-0.06, -0.08, -0.04), Mark(name, "bad")), dim=True),
        Row((None, 10.0, Interval(0.7, 0.6, 0.8), Interval(-0.2, -0.3, -0.1), None)),
    ]
    drawn = [
        Column("metric"),
        Column("p", "number", digits=4, tiny=True),
        Column("effect, drawn", "drawn", "%", about=name, lines=(0.0, 10.0)),
    ]
    reaches = [
        Row((name, 1e-9, Reach(5.0, 2.0, 8.0, "good"))),
        Row(("unbounded", 0.5, Reach(-1.0, -math.inf, math.inf))),
        Row(("not known", None, None)),
    ]
    sizes = [
        Point("small", 2.0, 0.8, name, dim=True, detail=name),
        Point(f"{name} large", 30.0, 0.9, name, front=True, chosen=True),
    ]
    curve = [Point(f"{units} units", units, units / 1000, front=True, chosen=units == 400) for units in (100, 400, 900)]
    found = [Picture(shots[1], name, name, right=True), Picture(None, f"b {name}", "0.8", right=False)]
    return Page(
        f"Page of {name}",
        Verdict(f"Ship {name}.", "mixed", [f"{name} is best."], [f"{name} was measured on a busy machine."]),
        [("model", name), ("queries", "240")],
        [
            Scatter(
                f"Plot of {name}", Axis("p50", "ms", 2, better="low"), Axis("recall@10", better="high"), points, name
            ),
            Table(f"Table of {name}", columns, rows, name),
            PictureRows(f"Pictures of {name}", [PictureRow(Picture(shots[0], name, name), found)], name),
            Drawing("Drawn by something else", SVG, name),
            Table(f"Effects on {name}", drawn, reaches),
            Scatter(
                f"Sizes of {name}",
                Axis("size", "MB", 1, log=True, better="low"),
                Axis("recall@10", better="high"),
                sizes,
                guides=[Guide("x", 8.0, f"size < 8 {name}"), Guide("y", 0.85, "recall@10 > 0.85")],
                grey=f"beaten by {name}",
                ring=f"ship {name}",
            ),
            Scatter("Power", Axis("units", digits=0, log=True), Axis("power"), curve, ring="the plan", curve=True),
            Pictures(f"Drifted from {name}", [Picture(shots[2], name, name), Picture(None, "gone")]),
        ],
        [Command(name, f"edgekit compare {name}")],
        [f"Note on {name}"],
    )


def hostile() -> Page:
    """The same page of a model whose name is an attack."""
    return every_kind(HOSTILE)
