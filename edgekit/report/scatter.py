"""Where the points, ticks and names of a plot stand, in the units of its SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgekit.report.document import Axis, Guide, Point, Scatter, number

__all__ = ["HEIGHT", "SHAPES", "WIDTH", "Line", "Plot", "Spot", "Tick", "plot_of", "ticks"]

WIDTH, HEIGHT = 760.0, 420.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, WIDTH - 20.0, 30.0, HEIGHT - 56.0  # of the area in which points lie
_MARGIN = 0.06  # of the range, on both sides
_LETTER, _BOLD, _LINE = 6.4, 6.9, 14.0  # widths and height of a letter of a point's name, about
_NAMED = 100  # points that get a name at most
# A shape for each group beside its colour, for those who cannot tell colours apart.
SHAPES = (
    "M-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0-11 0Z",
    "M-5-5H5V5H-5Z",
    "M0-6.5L6.2 4.8H-6.2Z",
    "M0-7L6 0L0 7L-6 0Z",
    "M-6.2-4.8H6.2L0 6.5Z",
    "M-6-2H-2V-6H2V-2H6V2H2V6H-2V2H-6Z",
    "M-3-6H3L6 0L3 6H-3L-6 0Z",
)

_Place = tuple[float, float]
_Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: where, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """A guide at its place: a path, and where its text stands."""

    path: str
    x: float
    y: float
    anchor: str
    text: str


@dataclass(frozen=True)
class Spot:
    """A point at its place; `name` is where its label is written, where there is room."""

    point: Point
    x: float
    y: float
    group: int
    text: str
    name: tuple[float, float, str] | None  # x, y and the anchor of the text


@dataclass(frozen=True)
class Plot:
    """All that the template draws."""

    x: Sequence[Tick]
    y: Sequence[Tick]
    spots: Sequence[Spot]
    groups: Sequence[str]
    front: str  # the path of the line through the front, empty where there is none
    guides: Sequence[Line]
    dim: bool  # whether any point is
    chosen: bool


def plot_of(scatter: Scatter) -> Plot:
    """Lay out a plot; points that are drawn later lie above, and those are on the front."""
    guided = {name: [guide.value for guide in scatter.guides if guide.axis == name] for name in ("x", "y")}
    x_range = _range([*(point.x for point in scatter.points), *guided["x"]], scatter.x)
    y_range = _range([*(point.y for point in scatter.points), *guided["y"]], scatter.y)

    def across(value: float) -> float:
        return round(LEFT + _share(value, x_range, scatter.x) * (RIGHT - LEFT), 1)

    def down(value: float) -> float:
        return round(BOTTOM - _share(value, y_range, scatter.y) * (BOTTOM - TOP), 1)

    groups = list(dict.fromkeys(point.group for point in scatter.points))
    places = [(across(point.x), down(point.y)) for point in scatter.points]
    corners, guides = _corners(scatter, places), [_guide(guide, across, down) for guide in scatter.guides]
    spots = [
        Spot(point, *place, groups.index(point.group) % len(SHAPES), _text(scatter, point), name)
        for point, place, name in zip(scatter.points, places, _names(scatter, places, corners, guides), strict=True)
    ]
    return Plot(
        x=[Tick(across(value), text) for value, text in ticks(*x_range, scatter.x)],
        y=[Tick(down(value), text) for value, text in ticks(*y_range, scatter.y)],
        spots=sorted(spots, key=lambda spot: (spot.point.chosen, spot.point.front, not spot.point.dim)),
        groups=groups if groups != [""] else [],
        front="".join(f"{'L' if index else 'M'}{x} {y}" for index, (x, y) in enumerate(corners)),
        guides=guides,
        dim=any(point.dim for point in scatter.points),
        chosen=any(point.chosen for point in scatter.points),
    )


def _guide(guide: Guide, across: Callable[[float], float], down: Callable[[float], float]) -> Line:
    if guide.axis == "x":
        x = across(guide.value)
        room = RIGHT - x > len(guide.text) * _LETTER
        return Line(f"M{x} {TOP}V{BOTTOM}", x + (5 if room else -5), BOTTOM - 6, "start" if room else "end", guide.text)
    y = down(guide.value)
    return Line(f"M{LEFT} {y}H{RIGHT}", RIGHT - 4, y + (-5 if y > TOP + _LINE else _LINE), "end", guide.text)


def ticks(low: float, high: float, axis: Axis, steps: int = 6) -> list[tuple[float, str]]:
    """Round values from `low` to `high`, at most about `steps` and two, and what they are called.

    The steps are 1, 2 or 5 times a power of ten; on a logarithmic axis that spans over a factor of ten, the values are.
    """
    if axis.log and high / low > 10:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        factors = (1,) if last - first > 3 else (1, 2, 5)
        values = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
        return [(value, f"{value:,.12g}") for value in values if low <= value <= high]
    rough = (high - low) / steps
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    digits = max(0, -math.floor(math.log10(step)))
    count = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [(index * step, f"{index * step:,.{digits}f}") for index in count]


def _range(values: Sequence[float], axis: Axis) -> tuple[float, float]:
    """Somewhat more than what the values span."""
    if not values:
        return (1.0, 10.0) if axis.log else (0.0, 1.0)
    low, high = min(values), max(values)
    if axis.log:
        more = max((high / low) ** _MARGIN, 1.2)
        return low / more, high * more
    # Values that are all alike get a range that their digits can tell.
    more = max((high - low) * _MARGIN, abs(high) * 1e-3, 10.0**-axis.digits)
    return low - more, high + more


def _share(value: float, span: tuple[float, float], axis: Axis) -> float:
    low, high = span
    if axis.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _text(scatter: Scatter, point: Point) -> str:
    """The figures of a point, as its tip and a screen reader say them."""
    sides = ((scatter.x, point.x), (scatter.y, point.y))
    figures = [f"{axis.name} {number(value, axis.digits)} {axis.unit}".strip() for axis, value in sides]
    group = [point.group] if point.group else []
    place = [scatter.ring] if point.chosen else []
    place += ["on the front"] if point.front and not scatter.curve else [scatter.grey] if point.dim else []
    return ", ".join([*group, *figures, *place, *([point.detail] if point.detail else [])])


def _corners(scatter: Scatter, places: Sequence[_Place]) -> list[_Place]:
    """Steps along what the front reaches: between two of its points nothing better than the worse of both is known."""
    front = sorted(place for point, place in zip(scatter.points, places, strict=True) if point.front)
    if len(front) < 2 or scatter.curve:
        return front if len(front) > 1 else []
    corners = front[:1]
    for (x, y), (next_x, next_y) in pairwise(front):
        corners += [(x, next_y) if scatter.x.better == "high" else (next_x, y), (next_x, next_y)]
    return corners


def _names(
    scatter: Scatter, places: Sequence[_Place], corners: Sequence[_Place], guides: Sequence[Line]
) -> list[tuple[float, float, str] | None]:
    """Where labels are written: those of the front first, each where it hides no point, line or other label."""
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in places]
    lines = []
    for one, other in pairwise(corners):
        (left, right), (top, bottom) = (sorted(ends) for ends in zip(one, other, strict=True))
        lines.append((left - 1, top - 1, right + 1, bottom + 1))
    for guide in guides:
        left = guide.x - (len(guide.text) * _LETTER if guide.anchor == "end" else 0)
        taken.append((left, guide.y - _LINE, left + len(guide.text) * _LETTER, guide.y + 3))
    points = scatter.points
    names: list[tuple[float, float, str] | None] = [None] * len(points)
    first = sorted(range(len(points)), key=lambda index: (not points[index].chosen, not points[index].front))
    for index in first[:_NAMED]:
        point, (x, _) = points[index], places[index]
        hidden, _, box, anchor = min(_around(point, places[index], taken, lines), default=(1, 0, (0.0,) * 4, ""))
        if scatter.curve and not point.chosen:
            continue
        if point.label and (not hidden or (point.chosen and anchor)):  # the chosen one is named in any case
            taken.append(box)
            at = {"start": box[0], "end": box[2], "middle": x}[anchor]
            names[index] = (round(at, 1), round(box[1] + 11, 1), anchor)
    return names


def _around(
    point: Point, place: _Place, taken: Sequence[_Box], lines: Sequence[_Box]
) -> Iterator[tuple[int, int, _Box, str]]:
    """Boxes around a point for its name, by how much they would hide, then in the order in which they are liked."""
    (x, y), more = place, 5 * point.chosen
    width = len(point.label) * (_BOLD if point.front else _LETTER)
    liked = (
        (x + 9 + more, y - 7, "start"),
        (x - 9 - more - width, y - 7, "end"),
        (x + 4 + more, y + 7 + more, "start"),
        (x - 4 - more - width, y - 21 - more, "end"),
        (x - width / 2, y - 24 - more, "middle"),
        (x - width / 2, y + 10 + more, "middle"),
        (x + 4 + more, y - 21 - more, "start"),
    )
    for order, (left, top, anchor) in enumerate(liked):
        box = (left, top, left + width, top + _LINE)
        if left >= LEFT and left + width <= RIGHT and top >= TOP - _LINE and top + _LINE <= BOTTOM:
            hidden = sum(2 * _overlap(box, other) for other in taken) + sum(_overlap(box, other) for other in lines)
            yield hidden, order, box, anchor


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
