"""The sentence that a manager reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgekit.experiment.result import Comparison
from edgekit.experiment.words import amount_of, percent, sentence_of, value_of

ROW = Comparison(
    metric="orders",
    kind="rate",
    test="two proportions",
    arm="new",
    control_value=0.11,
    value=0.124,
    effect=0.014,
    low=0.004,
    high=0.024,
    p=0.006,
    p_adjusted=0.012,
    relative=0.1273,
    relative_low=0.03,
    relative_high=0.22,
    correlation=None,
    verdict="better",
    sentence="",
)


def test_a_difference_is_told_with_its_size_and_what_chance_would_do() -> None:
    assert sentence_of(ROW, "control", 0.05, 2, sequential=False) == (
        "orders: new is better than control: 12.40 % in place of 11.00 %, which is +1.40 points (+12.73 %), and truly "
        "between "
        "+0.400 points and +2.40 points (with 95 % confidence); without any real difference, 0.600 % of experiments "
        "would show "
        "as much."
    )
    often = sentence_of(replace(ROW, p=1e-7, verdict="worse"), "control", 0.05, 2, sequential=True)
    assert "is worse than control" in often
    assert "95 % confidence at every look" in often
    assert often.endswith("fewer than 1 of 10,000 experiments would ever show as much.")


def test_no_difference_is_not_told_as_equality() -> None:
    row = replace(ROW, verdict="not shown", low=-0.001, p=0.03, p_adjusted=0.06)
    told = sentence_of(row, "control", 0.05, 2, sequential=False)
    assert "no difference between new and control was shown after the correction for several comparisons" in told
    assert "between -0.100 points and +2.40 points" in told
    assert "any value in there remains possible" in told
    assert "correction" not in sentence_of(replace(row, p=0.3, p_adjusted=0.3), "control", 0.05, 2, sequential=False)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1234567.8, "1,234,568"), (123.456, "123.5"), (2.5, "2.50"), (0.0421, "0.0421"), (3e-7, "3.00e-07")],
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert value_of(value, "mean") == text
    assert amount_of(-value, "mean") == (f"-{text}" if value else "+0")
    assert percent(value / 100) == f"{text} %"
