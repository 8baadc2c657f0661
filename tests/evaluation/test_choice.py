"""The Pareto front, and which row to ship."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgekit.evaluation.choice import choose, marked
from edgekit.evaluation.compare_report import Answer, Row, Value
from edgekit.evaluation.where import parse
from tests.evaluation.rows import row, value

NAMES = ("latency_ms", "size_mb", "recall@10")
BEST = "recall@10"


def answer(rows: list[Row], where: str | None = None, best: str = BEST) -> tuple[list[Row], Answer]:
    condition = None if where is None else parse(where, NAMES)
    done = marked(rows, best, condition)
    return done, choose(done, best, condition)


ROWS = [
    row("good", recall=0.9, latency_ms=20.0, size_mb=12.0),
    row("fast", recall=0.7, latency_ms=5.0, size_mb=6.0),
    row("slow", recall=0.7, latency_ms=9.0, size_mb=6.0),
    row("untimed", recall=0.95, size_mb=5.0),
    row("broken", error="cannot be lowered"),
]


def test_the_front_and_who_dominates() -> None:
    rows, _ = answer(ROWS)
    assert [one.front for one in rows] == [True, True, False, None, None]
    assert [one.dominated_by for one in rows] == [None, None, "fast", None, None]


def test_the_best_row_that_keeps_every_limit_is_shipped() -> None:
    rows, found = answer(ROWS, "latency_ms < 10 and size_mb < 8")
    assert [one.qualifies for one in rows] == [False, True, True, None, None]
    assert found.ship == "fast"  # as good as slow, and faster
    text = " ".join(found.why)
    assert "fast has recall@10 0.700, the best of 2 rows that keep every limit, out of 4." in text
    assert "latency_ms 5, size_mb 6" in text
    assert "As good in recall@10, but slower or larger: slow." in text
    assert "1 of 4 rows cannot be judged: 1 without latency_ms." in text


def test_without_a_condition_the_best_row_of_all_is_shipped() -> None:
    assert answer(ROWS)[1].ship == "untimed"
    assert answer(ROWS, best="latency_ms")[1].ship == "fast"  # of which less is better


def test_rows_that_an_interval_does_not_tell_apart_are_named() -> None:
    rows = [row("one", recall=value(0.8, 0.7, 0.9), latency_ms=1.0), row("two", recall=0.72), row("three", recall=0.6)]
    _, found = answer(rows)
    assert any("do not tell it apart from two: their recall@10 lies within" in line for line in found.why)
    assert "three" not in " ".join(found.why)


def test_the_limit_to_blame_and_the_nearest_row() -> None:
    _, found = answer(ROWS, "latency_ms < 10 and size_mb < 5.5")
    assert (found.ship, found.nearest) == (None, "fast")
    text = " ".join(found.why)
    assert "None of 4 rows keeps every limit." in text
    assert "The limit size_mb < 5.5 is to blame: without it 2 rows keep the others." in text
    assert "Nearest is fast, off by 9.1% at most: latency_ms 5, size_mb 6." in text


def test_several_limits_may_be_to_blame_together() -> None:
    _, found = answer(ROWS[:2], "latency_ms < 1 and size_mb < 1")
    assert any("No single limit is to blame" in line for line in found.why)


def test_nothing_to_choose_from_is_said() -> None:
    _, found = answer([row("small", size_mb=1.0)])
    assert (found.ship, found.nearest) == (None, None)
    assert found.why[0] == "No row has recall@10."
    _, found = answer([row("small", size_mb=1.0)], "latency_ms < 3")
    assert (found.ship, found.nearest) == (None, None)


def timed(milliseconds: float, *doubts: str) -> Value:
    return Value(value=milliseconds, how="p50", measured="host", doubts=list(doubts))


def test_an_answer_that_rests_on_an_invalid_latency_says_so() -> None:
    rows = [
        row("good", recall=0.9, latency_ms=timed(8.0, "throttled", "background"), size_mb=4.0),
        row("fast", recall=0.7, latency_ms=timed(5.0), size_mb=6.0),
        row("late", recall=0.8, latency_ms=timed(30.0, "throttled"), size_mb=6.0),
    ]
    _, found = answer(rows, "latency_ms < 10")
    assert found.ship == "good"
    (line,) = found.warnings
    assert "The latency of good, 8 ms, is not a valid measurement (throttled, background)" in line
    assert "Not valid either: 1 of the 2 others." in line
    _, none = answer(rows, "latency_ms < 7 and size_mb < 5")
    assert none.nearest == "good" and len(none.warnings) == 1
    _, sound = answer(rows, "latency_ms < 6")
    assert (sound.ship, sound.warnings) == ("fast", [])
    _, alone = answer([rows[0], rows[2]])
    assert "Not valid either: 1 of the 1 others." in alone.warnings[0]


def test_a_quality_that_is_the_same_for_all_is_said() -> None:
    _, found = answer([row("one", recall=1.0), row("two", recall=1.0)])
    (line,) = found.warnings
    assert line.startswith("recall@10 is 1.000 for every row")
    assert answer([row("one", recall=1.0)])[1].warnings == []


_POINTS = st.lists(st.tuples(*[st.integers(0, 3).map(float)] * 3), min_size=1, max_size=8)


@given(points=_POINTS)
def test_the_front_is_never_empty_and_no_row_of_it_is_dominated(points: list[tuple[float, ...]]) -> None:
    rows = [row(str(n), recall=q, latency_ms=ms, size_mb=mb) for n, (q, ms, mb) in enumerate(points)]
    done = {one.name: one for one in marked(rows, BEST, None)}
    assert any(one.front for one in done.values())
    for one in done.values():
        if one.dominated_by is None:
            continue
        over = done[one.dominated_by]
        mine, theirs = ([r.figures[name].value for name in NAMES] for r in (one, over))
        assert theirs[0] <= mine[0] and theirs[1] <= mine[1] and theirs[2] >= mine[2]
        assert mine != theirs
