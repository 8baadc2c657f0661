"""Conditions on figures: what is read, what is refused, and what missing figures leave open."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import UsageError
from edgekit.evaluation.where import Condition, Every, Limit, Some, limits, parse, shortfall, truth

NAMES = ("latency_ms", "size_mb", "recall@10", "buyer-to-seller.recall@10")
SIGNS = ("<", "<=", ">", ">=", "==", "!=")


def test_a_condition_is_read_by_the_usual_precedence() -> None:
    found = parse("latency_ms < 10 or size_mb<8 and recall@10 >= .5", NAMES)
    few = Every((Limit("size_mb", "<", 8.0), Limit("recall@10", ">=", 0.5)))
    assert found == Some((Limit("latency_ms", "<", 10.0), few))
    grouped = parse("(latency_ms < 10 or size_mb < 8) and 1e-1 <= buyer-to-seller.recall@10", NAMES)
    either = Some((Limit("latency_ms", "<", 10.0), Limit("size_mb", "<", 8.0)))
    assert grouped == Every((either, Limit("buyer-to-seller.recall@10", ">=", 0.1)))
    assert str(Limit("size_mb", "<", 8.0)) == "size_mb < 8"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "character 1: expected the name of a figure, found the end"),
        ("latency_ms", "character 11: expected one of < <= > >= == !=, found the end"),
        ("latency_ms < ", "expected a number, found the end"),
        ("latency_ms < size_mb", "character 14: expected a number, found 'size_mb'"),
        ("3 < 4", "character 5: expected the name of a figure, found '4'"),
        ("(latency_ms < 3", "expected a closing parenthesis, found the end"),
        ("latency_ms < 3)", "character 15: expected and, or, or the end, found ')'"),
        ("latency_ms < 3 size_mb < 4", "expected and, or, or the end"),
        ("latency_ms = 3", "character 12: expected a name, a number"),
        ("latency_ms < 1e999", "expected a finite number"),
        ("__import__('os')", "no figure is called '__import__'"),
        ("latncy_ms < 3", "no figure is called 'latncy_ms'; did you mean latency_ms"),
        ("and", "expected the name of a figure, found 'and'"),
        ("not " * 60 + "latency_ms < 3", "nested over 50 levels deep"),
        ("(" * 1500, "nested over 50 levels deep"),
        ("latency_ms < 3 or " * 200, "has 3600 characters; give at most 2000"),
        ("latency_ms < 3\x1b[31m", "found '?[31m'"),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_stands(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, NAMES)
    assert words in str(caught.value)
    assert caught.value.field == "where"


_LIMITS = st.builds(
    lambda name, sign, number: (f"{name} {sign} {number}", Limit(name, sign, float(number))),
    st.sampled_from(NAMES),
    st.sampled_from(SIGNS),
    st.integers(-3, 3),
)
_TEXTS = st.recursive(
    _LIMITS.map(lambda pair: pair[0]),
    lambda inner: st.one_of(
        st.builds(lambda a, b: f"({a}) and ({b})", inner, inner),
        st.builds(lambda a, b: f"({a}) or ({b})", inner, inner),
        st.builds(lambda a: f"not ({a})", inner),
    ),
    max_leaves=8,
)
_FIGURES = st.fixed_dictionaries({name: st.integers(-3, 3).map(float) for name in NAMES})


def by_python(text: str, figures: dict[str, float]) -> bool:
    """What Python itself makes of the text."""
    places = {name: f"x{number}" for number, name in enumerate(NAMES)}
    for name in sorted(places, key=len, reverse=True):
        text = text.replace(name, places[name])
    return bool(eval(text, {"__builtins__": {}}, {places[name]: value for name, value in figures.items()}))


@given(text=_TEXTS, figures=_FIGURES)
def test_it_means_what_python_means_by_it(text: str, figures: dict[str, float]) -> None:
    condition = parse(text, NAMES)
    assert truth(condition, figures) is by_python(text, figures)
    assert (shortfall(condition, figures) == 0) is by_python(text, figures)


@given(text=_TEXTS, figures=_FIGURES, lost=st.sets(st.sampled_from(NAMES)))
def test_a_missing_figure_leaves_open_only_what_it_decides(
    text: str, figures: dict[str, float], lost: set[str]
) -> None:
    condition = parse(text, NAMES)
    known = {name: None if name in lost else value for name, value in figures.items()}
    found = truth(condition, known)
    if found is not None:
        assert found is by_python(text, figures)
    if not lost & {limit.name for limit in limits(condition)}:
        assert found is not None


@given(text=st.text(max_size=60))
def test_no_text_is_anything_but_a_condition_or_one_line(text: str) -> None:
    try:
        condition: Condition = parse(text, NAMES)
    except UsageError as error:
        assert "\n" not in str(error)
        assert str(error).isprintable()
    else:
        assert list(limits(condition))


def test_how_far_figures_are_from_a_condition() -> None:
    condition = parse("latency_ms < 10 and (size_mb < 8 or recall@10 > 0.5)", NAMES)
    assert shortfall(condition, {"latency_ms": 12.0, "size_mb": 16.0, "recall@10": 0.4}) == pytest.approx(0.2)
    assert shortfall(condition, {"latency_ms": 10.0, "size_mb": 1.0}) > 0  # 10 is not below 10
    assert shortfall(condition, {"size_mb": 1.0}) == math.inf
    assert truth(condition, {"latency_ms": 12.0, "size_mb": 4.0}, given=Limit("latency_ms", "<", 10.0)) is True
