"""The plots of a comparison: quality, latency and size, with the front, the limits and the row to ship."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekit.errors import UsageError
from edgekit.evaluation.choice import SMALLER
from edgekit.evaluation.compare_report import CompareReport, Row
from edgekit.evaluation.where import limits, parse
from edgekit.report.document import Axis, Guide, Point, Scatter

__all__ = ["measured", "plots_of"]

_TIME, _SIZE = "latency_ms", "size_mb"
_AXES = {_TIME: ("latency", "ms", 2), _SIZE: ("size", "MB", 1), "min_cosine": ("min cosine to the original", "", 4)}
_SPAN = 8.0  # the largest over the smallest figure from which an axis is logarithmic
_FAR = 3.0  # times beyond the figures at which a limit is not drawn any more


def plots_of(report: CompareReport) -> Iterator[Scatter]:
    """Quality over latency and over size, and size over latency. Where the quality is the same for all rows, the last
    comes first, and parity is shown in its place.
    """
    values = {row.value(report.best) for row in report.rows} - {None}
    quality = report.best if len(values) > 1 else "min_cosine"
    plots = [(_TIME, quality), (_SIZE, quality), (_TIME, _SIZE)]
    for x, y in plots if len(values) > 1 else reversed(plots):
        if x == y:
            continue
        rows = [row for row in report.rows if row.value(x) is not None and row.value(y) is not None]
        if len(rows) > 1:
            yield _plot(report, rows, (x, y))


def _plot(report: CompareReport, rows: Sequence[Row], names: tuple[str, str]) -> Scatter:
    axes = [_axis(name, [row.figures[name].value for row in rows]) for name in names]
    x, y = axes
    front = [not any(_beats(other, row, names) for other in rows) for row in rows]
    points = [
        Point(
            row.name,
            row.figures[names[0]].value,
            row.figures[names[1]].value,
            row.model,
            front=best,
            dim=row.front is False and not best,
            chosen=row.name in (report.answer.ship, report.answer.nearest),
            detail=_detail(row),
        )
        for row, best in zip(rows, front, strict=True)
    ]
    left = sum(row.error is None for row in report.rows) - len(rows)
    notes = [f"{left} rows that lack one of both figures are not in it." if left else ""]
    if any(point.dim for point in points):
        notes.append("Dominated: another row is as good in quality, latency and size, and better in one.")
    if "min_cosine" in names and report.best not in names:
        notes.append(f"It shows parity, since {report.best} is the same for every row.")
    return Scatter(
        f"{y.name[0].upper()}{y.name[1:]} over {x.name}",
        x,
        y,
        points,
        " ".join(filter(None, notes)),
        list(_guides(report, axes, rows, names)),
        ring="to ship" if report.answer.ship else "nearest to the limits",
    )


def _axis(name: str, values: Sequence[float]) -> Axis:
    log = min(values) > 0 and max(values) / min(values) >= _SPAN
    title, unit, digits = _AXES.get(name, (name, "", 3))
    return Axis(title, unit, digits, log, "low" if name in SMALLER else "high")


def _beats(one: Row, other: Row, names: tuple[str, str]) -> bool:
    """Whether `one` is at least as good in both figures, and better in one."""
    signs = [1 if name in SMALLER else -1 for name in names]
    mine, theirs = (
        [sign * row.figures[name].value for sign, name in zip(signs, names, strict=True)] for row in (one, other)
    )
    return mine != theirs and all(own <= its for own, its in zip(mine, theirs, strict=True))


def _guides(
    report: CompareReport, axes: Sequence[Axis], rows: Sequence[Row], names: tuple[str, str]
) -> Iterator[Guide]:
    """The limits that lie near the figures."""
    if report.where is None:
        return
    known = {name for row in report.rows for name in row.figures} | set(SMALLER) | {report.best}
    try:
        asked = list(limits(parse(report.where, known)))
    except UsageError:  # it names a figure that no row has
        return
    for side, axis, name in zip(("x", "y"), axes, names, strict=True):
        values = [row.figures[name].value for row in rows]
        for limit in asked:
            near = min(values) / _FAR <= limit.number <= max(values) * _FAR
            if limit.name == name and near and (limit.number > 0 or not axis.log):
                yield Guide("x" if side == "x" else "y", limit.number, f"{axis.name} {limit.sign} {limit.number:g}")


def measured(row: Row) -> str | None:
    """Where the latency was measured, and why that is not to be compared; None where it was not."""
    value = row.figures.get(_TIME)
    if value is None or value.measured is None:
        return None
    return f"{value.measured}, not valid: {', '.join(value.doubts)}" if value.doubts else value.measured


def _detail(row: Row) -> str:
    """What the tip of a point says beside its figures."""
    cosine, place = row.value("min_cosine"), measured(row)
    parts = [f"{row.target} ({row.format}) {row.precision}"]
    if cosine is not None:
        parts.append(f"min cosine {cosine:.4f}{' in a stand-in' if row.reference else ''}")
    return ", ".join([*parts, *([f"measured on the {place}"] if place else [])])
