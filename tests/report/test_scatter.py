"""Where points, ticks and names stand."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgekit.report import scatter
from edgekit.report.document import Axis, Guide, Point, Scatter
from edgekit.report.scatter import plot_of, ticks

FIGURES = st.floats(-1e9, 1e9)


def test_round_ticks_are_named_with_the_digits_that_they_need() -> None:
    assert [text for _, text in ticks(0.0, 1.0, Axis("recall"))] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert [text for _, text in ticks(0.971, 0.9952, Axis("recall"))] == ["0.975", "0.980", "0.985", "0.990", "0.995"]
    assert [text for _, text in ticks(900.0, 5100.0, Axis("size"))] == ["1,000", "2,000", "3,000", "4,000", "5,000"]
    assert [text for _, text in ticks(0.9, 60.0, Axis("ms", log=True))] == ["1", "2", "5", "10", "20", "50"]
    assert [text for _, text in ticks(0.5, 2e6, Axis("N", log=True))] == [
        "1", "10", "100", "1,000", "10,000", "100,000", "1,000,000",
    ]  # fmt: skip


@given(FIGURES, FIGURES, st.booleans())
def test_there_are_some_ticks_and_not_too_many(low: float, high: float, log: bool) -> None:
    assume(high - low > 1e-6 * max(1.0, abs(low), abs(high)))
    low, high = (math.exp(low / 1e8), math.exp(high / 1e8)) if log else (low, high)
    assume(high / low > 1.3 if log else True)
    found = ticks(low, high, Axis("value", log=log))
    assert 2 <= len(found) <= 20
    assert len({text for _, text in found}) == len(found)
    edge = (high - low) * 1e-6
    assert all(low - edge <= value <= high + edge for value, _ in found)


@given(st.lists(st.tuples(st.floats(1e-3, 1e6), st.floats(-1, 1), st.booleans()), max_size=30), st.booleans())
def test_all_points_lie_inside_and_in_their_order(places: list[tuple[float, float, bool]], log: bool) -> None:
    points = [Point(str(index), x, y, front=front) for index, (x, y, front) in enumerate(places)]
    plot = plot_of(Scatter("plot", Axis("x", log=log), Axis("y"), points))
    assert len(plot.spots) == len(points)
    assert [spot.point.front for spot in plot.spots] == sorted(point.front for point in points)
    for spot in plot.spots:
        assert scatter.LEFT < spot.x < scatter.RIGHT
        assert scatter.TOP < spot.y < scatter.BOTTOM
        for other in plot.spots:
            assert spot.point.x >= other.point.x or spot.x <= other.x
            assert spot.point.y >= other.point.y or spot.y >= other.y


@pytest.mark.parametrize(("better", "path"), [("low", "across"), ("high", "down")])
def test_the_front_goes_along_the_worse_of_two_neighbours(better: str, path: str) -> None:
    x = Axis("x", better="low" if better == "low" else "high")
    rising = better == "low"
    points = [Point("a", 1.0, 0.1 if rising else 0.9, front=True), Point("b", 2.0, 0.5, front=True)]
    plot = plot_of(Scatter("plot", x, Axis("y", better="high"), [*points, Point("c", 1.5, 0.3)]))
    (_, first), (_, corner), (_, last) = ((part[0], part[1:]) for part in plot.front.replace("L", "\nL").split("\n"))
    (ax, ay), (cx, cy), (bx, by) = (part.split() for part in (first, corner, last))
    assert (cx, cy) == ((bx, ay) if path == "across" else (ax, by))
    assert plot_of(Scatter("plot", x, Axis("y"), points[:1])).front == ""


def test_names_hide_nothing_and_those_of_the_front_come_first() -> None:
    crowd = [Point(f"model-{index}", 1.0 + index * 1e-3, 0.5, front=index == 30) for index in range(60)]
    plot = plot_of(Scatter("plot", Axis("x"), Axis("y"), crowd))
    named = [spot for spot in plot.spots if spot.name is not None]
    assert plot.spots[-1].name is not None and plot.spots[-1].point.front
    assert 2 <= len(named) < 30
    rows: dict[float, list[float]] = {}
    for spot in named:
        assert spot.name is not None
        rows.setdefault(spot.name[1], []).append(spot.name[0])
    for places in rows.values():
        places.sort()
        assert all(right - left >= 7 * 6 for left, right in itertools.pairwise(places))


def test_groups_differ_in_shape_and_what_a_point_says_is_whole() -> None:
    axes = Axis("p50", "ms", 1), Axis("recall@10")
    points = [Point("b0 int8", 3.14, 0.875, "b0", front=True), Point("vit", 9.0, 0.9, "vit")]
    plot = plot_of(Scatter("plot", *axes, points))
    assert plot.groups == ["b0", "vit"]
    texts = {spot.point.label: (spot.text, spot.group) for spot in plot.spots}
    assert texts == {
        "b0 int8": ("b0, p50 3.1 ms, recall@10 0.875, on the front", 0),
        "vit": ("vit, p50 9.0 ms, recall@10 0.900", 1),
    }
    assert len(set(scatter.SHAPES)) == len(scatter.SHAPES)


def test_an_empty_plot_and_one_of_equal_points_are_drawn() -> None:
    assert plot_of(Scatter("plot", Axis("x"), Axis("y", log=True), [])).spots == []
    plot = plot_of(Scatter("plot", Axis("x"), Axis("y"), [Point("a", 0.5, 1e6), Point("b", 0.5, 1e6)]))
    assert {(spot.x, spot.y) for spot in plot.spots} == {(402.0, 197.0)}
    assert len(plot.y) >= 2


def test_a_guide_is_inside_of_the_plot_and_of_its_own_axis() -> None:
    points = [Point("a", 1.0, 0.5), Point("b", 2.0, 0.9)]
    guides = [Guide("x", 10.0, "latency < 10"), Guide("y", 0.1, "recall > 0.1")]
    across, down = plot_of(Scatter("plot", Axis("x"), Axis("y"), points, guides=guides)).guides
    assert across.path.startswith("M") and "V" in across.path and across.anchor == "end"
    assert 64 < float(across.path[1:].split()[0]) < scatter.WIDTH - 20
    assert "H" in down.path and 30 < float(down.path.split()[1].split("H")[0]) < scatter.HEIGHT - 56
    with pytest.raises(ValueError, match="nowhere"):
        Scatter("plot", Axis("x", log=True), Axis("y"), points, guides=[Guide("x", 0.0, "nowhere")])


def test_the_chosen_point_is_named_in_any_crowd_and_lies_above() -> None:
    crowd = [Point(f"model-{index}", 1.0 + index % 6, 0.5 + index // 6, front=True) for index in range(36)]
    crowd[14] = Point("the chosen one of many", 3.0, 2.5, chosen=True)
    plot = plot_of(Scatter("plot", Axis("x"), Axis("y"), crowd, ring="to ship"))
    last = plot.spots[-1]
    assert last.point.chosen and last.name is not None
    assert last.text.endswith("to ship")


def test_what_is_grey_is_said_and_lies_below() -> None:
    points = [Point("a", 1.0, 0.5), Point("b", 2.0, 0.9, dim=True, detail="measured on the host")]
    plot = plot_of(Scatter("plot", Axis("x"), Axis("y"), points, grey="not valid"))
    assert (plot.dim, plot.chosen) == (True, False)
    assert plot.spots[0].text == "x 2.000, y 0.900, not valid, measured on the host"


def test_a_curve_goes_from_point_to_point_and_names_the_chosen_one_alone() -> None:
    points = [Point(f"{x}", x, x * x, front=True, chosen=x == 2) for x in (1.0, 2.0, 3.0)]
    plot = plot_of(Scatter("plot", Axis("x"), Axis("y"), points, curve=True, ring="the plan"))
    assert plot.front.count("L") == 2
    assert [spot.point.label for spot in plot.spots if spot.name is not None] == ["2.0"]
    assert all("front" not in spot.text for spot in plot.spots)
