"""Where drawn intervals stand."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from edgekit.report.document import Column, Reach, Row, Table
from edgekit.report.drawn import WIDTH, Scale, scales_of

EFFECT = Column("effect", "drawn")
FIGURES = st.floats(-1e6, 1e6)


def scale(*reaches: Reach | None, drawn: Column = EFFECT) -> Scale:
    """The scale of a column of such cells."""
    table = Table("effects", [Column("metric"), drawn], [Row(("metric", reach)) for reach in reaches])
    none, found = scales_of(table)
    assert none is None and found is not None
    return found


@given(st.lists(st.tuples(FIGURES, st.floats(0, 1e6), st.floats(0, 1e6)), max_size=8))
def test_all_ends_lie_inside_and_in_their_order(given: list[tuple[float, float, float]]) -> None:
    reaches = [Reach(value, value - below, value + above) for value, below, above in given]
    found = scale(*reaches)
    for reach in reaches:
        place = found.place(reach)
        assert place.value is not None
        assert 0 < place.low <= place.value <= place.high < WIDTH
        assert not place.open_low and not place.open_high
    assert all(0 < tick.at < WIDTH for tick in found.ticks)
    assert 1 <= len(found.ticks) <= 8


def test_an_end_that_is_not_known_goes_to_the_edge() -> None:
    found = scale(Reach(0.0, -math.inf, 1.0), Reach(0.5, 0.0, math.inf), None)
    left, right = found.place(Reach(0.0, -math.inf, 1.0)), found.place(Reach(0.5, 0.0, math.inf))
    assert (left.open_low, left.open_high, right.open_low, right.open_high) == (True, False, False, True)
    assert left.low < 5 and right.high > WIDTH - 5


def test_what_lies_beyond_the_span_has_no_dot() -> None:
    near, far = Reach(0.01, -0.01, 0.02), Reach(-0.9, -0.95, -0.85)
    found = scale(near, far, drawn=Column("change", "drawn", lines=(0.0, -0.02), span=(-0.02, 0.03)))
    place = found.place(far)
    assert place.value is None and place.open_low and place.low < place.high < found.lines[1]
    assert found.place(near).value is not None
    assert found.lines[1] < found.lines[0]


def test_a_column_of_nothing_has_a_scale() -> None:
    assert len(scale(None).ticks) >= 1
