"""What an experiment shows, in a sentence for people who know no statistics."""

from __future__ import annotations

from edgekit.experiment.result import Comparison

__all__ = ["amount_of", "percent", "sentence_of", "value_of"]

_FOUND = {
    "better": "is better than {control}",
    "worse": "is worse than {control}",
    "different": "differs from {control}",
}


def percent(share: float) -> str:
    """A share as people write it, with three digits or more: 0.0123 is "1.23 %"."""
    return f"{_figure(100 * share)} %"


def value_of(value: float, kind: str) -> str:
    """A metric's value: a rate in percent."""
    return percent(value) if kind == "rate" else _figure(value)


def amount_of(effect: float, kind: str) -> str:
    """An effect with its sign: a rate's in percentage points."""
    figure = _figure(100 * effect if kind == "rate" else effect)
    signed = figure if figure.startswith("-") else f"+{figure}"
    return f"{signed} points" if kind == "rate" else signed


def sentence_of(row: Comparison, control: str, alpha: float, of: int, *, sequential: bool) -> str:
    """What `row`, one of `of` comparisons, shows; `alpha` is the level that it was judged at."""
    between = f"between {amount_of(row.low, row.kind)} and {amount_of(row.high, row.kind)}"
    sure = f"with {100 * (1 - alpha):g} % confidence" + (" at every look" if sequential else "")
    if row.verdict == "not shown":
        by_chance = (
            " after the correction for several comparisons" if row.p <= alpha < row.p_adjusted and of > 1 else ""
        )
        return (
            f"{row.metric}: no difference between {row.arm} and {control} was shown{by_chance}; the true one lies "
            f"{between} ({sure}), and any value in there remains possible."
        )
    relative = "" if row.relative is None else f" ({'+' if row.relative >= 0 else ''}{percent(row.relative)})"
    return (
        f"{row.metric}: {row.arm} {_FOUND[row.verdict].format(control=control)}: {value_of(row.value, row.kind)} in "
        f"place of {value_of(row.control_value, row.kind)}, which is {amount_of(row.effect, row.kind)}{relative}, "
        f"and truly {between} ({sure}); without any real difference, {_chance(row.p, sequential)}."
    )


def _chance(p: float, sequential: bool) -> str:
    share = "fewer than 1 of 10,000" if p < 0.0001 else f"{'at most ' if sequential else ''}{percent(p)} of"
    return f"{share} experiments would {'ever show' if sequential else 'show'} as much"


def _figure(value: float) -> str:
    """Three digits or more, without an exponent where people would not write one."""
    if value and not 1e-4 <= abs(value) < 1e15:
        return f"{value:.2e}"
    size = abs(value)
    places = (
        0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 3 if size >= 0.1 else 4 if size >= 0.01 else 6
    )
    return f"{value:,.{places}f}" if size else "0"
