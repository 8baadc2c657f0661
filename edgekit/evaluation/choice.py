"""Which row to ship: the Pareto front, the rows that keep a condition, and the best of them, with the reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgekit.evaluation.compare_report import Answer, Row
from edgekit.evaluation.cost import COSTS
from edgekit.evaluation.where import Condition, limits, shortfall, truth

__all__ = ["SMALLER", "choose", "marked"]

# Figures of which less is better; of all others more is.
SMALLER = frozenset(("latency_ms", "latency_p90_ms", "memory_mb", "size_mb", "parameters", "macs", *COSTS))
_LATENCY = "latency_ms"
_BESIDE = (_LATENCY, "size_mb")  # the quality, in the front
_NAMED = 3


def marked(rows: Sequence[Row], quality: str, condition: Condition | None) -> list[Row]:
    """The rows with their place on the front and whether they keep the condition."""
    points = [_point(row, quality) for row in rows]
    done = []
    for row, own in zip(rows, points, strict=True):
        over = None
        if own is not None:
            over = next((o.name for o, p in zip(rows, points, strict=True) if p and _dominates(p, own)), None)
        keeps = None if condition is None or row.error else truth(condition, _figures(row))
        front = None if own is None else over is None
        done.append(row.model_copy(update={"front": front, "dominated_by": over, "qualifies": keeps}))
    return done


def choose(rows: Sequence[Row], best: str, condition: Condition | None) -> Answer:
    """The row with the best figure among those that keep the condition; of equal ones the faster, then the smaller.

    Where none keeps it: which limit is to blame, and which row is nearest.
    """
    made = [row for row in rows if row.error is None]
    able = [row for row in made if (condition is None or row.qualifies) and row.value(best) is not None]
    open_ones = [row for row in made if row.value(best) is None or (condition is not None and row.qualifies is None)]
    unplaced = [f"{len(open_ones)} of {len(made)} rows cannot be judged: {_lacking(open_ones, best, condition)}."]
    if able:
        ranked = sorted(able, key=lambda row: _order(row, best))
        return Answer(
            ship=ranked[0].name,
            nearest=None,
            why=[*_reasons(ranked, best, made, condition), *(unplaced if open_ones else [])],
            warnings=[*_doubts(ranked[0], made), *_alike(made, best)],
        )
    if condition is None or not made:
        return Answer(ship=None, nearest=None, why=[f"No row has {best}.", *(unplaced if open_ones else [])])
    return _refused(made, best, condition, unplaced if open_ones else [])


def _point(row: Row, quality: str) -> tuple[float, ...] | None:
    """Quality, latency and size, the smaller the better."""
    values = [row.value(name) for name in (quality, *_BESIDE)]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return (known[0] if quality in SMALLER else -known[0], *known[1:])


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(mine <= theirs for mine, theirs in zip(one, other, strict=True))


def _figures(row: Row) -> dict[str, float | None]:
    return {name: value.value for name, value in row.figures.items()}


def _order(row: Row, best: str) -> tuple[float, ...]:
    value = row.value(best)
    assert value is not None
    rest = (row.value(name) for name in _BESIDE)
    return (value if best in SMALLER else -value, *(math.inf if other is None else other for other in rest))


def _reasons(ranked: Sequence[Row], best: str, made: Sequence[Row], condition: Condition | None) -> list[str]:
    first = ranked[0]
    found = first.figures[best]
    able = "the only row that keeps" if len(ranked) == 1 else f"the best of {len(ranked)} rows that keep"
    kept = "" if condition is None else f", {able} every limit, out of {len(made)}"
    why = [f"{first.name} has {best} {_shown(best, found.value)}{kept or f', the best of {len(ranked)} rows'}."]
    if condition is not None:
        own = (
            f"{name} {_shown(name, first.figures[name].value)}" for name in _names(condition) if name in first.figures
        )
        why.append(f"Its figures: {', '.join(own)}.")
    alike = [row.name for row in ranked[1:] if row.figures[best].value == found.value]
    if alike:
        why.append(f"As good in {best}, but slower or larger: {_listed(alike)}.")
    low, high = found.low, found.high
    if low is not None and high is not None:
        near = [row.name for row in ranked[1:] if low <= row.figures[best].value <= high and row.name not in alike]
        if near:
            why.append(
                f"So many photos do not tell it apart from {_listed(near)}: their {best} lies within its 95 % "
                f"interval, {low:.3f} to {high:.3f}."
            )
    return why


def _refused(made: Sequence[Row], best: str, condition: Condition, unplaced: list[str]) -> Answer:
    """No row keeps the condition."""
    why = [f"None of {len(made)} rows keeps every limit."]
    judged = [row for row in made if row.value(best) is not None]
    freed = {
        limit: sum(truth(condition, _figures(row), given=limit) is True for row in judged)
        for limit in dict.fromkeys(limits(condition))
    }
    to_blame = max(freed, key=lambda limit: freed[limit])
    if freed[to_blame]:
        rows = "1 row keeps" if freed[to_blame] == 1 else f"{freed[to_blame]} rows keep"
        why.append(f"The limit {to_blame} is to blame: without it {rows} the others.")
    elif len(freed) > 1:
        why.append("No single limit is to blame: without any one of them still no row keeps the others.")
    apart = {row.name: shortfall(condition, _figures(row)) for row in judged}
    near = min(judged, key=lambda row: (apart[row.name], *_order(row, best)), default=None)
    if near is None or math.isinf(apart[near.name]):
        return Answer(ship=None, nearest=None, why=[*why, *unplaced])
    own = (f"{name} {_shown(name, near.figures[name].value)}" for name in _names(condition) if name in near.figures)
    why.append(f"Nearest is {near.name}, off by {apart[near.name]:.1%} at most: {', '.join(own)}.")
    return Answer(
        ship=None, nearest=near.name, why=[*why, *unplaced], warnings=[*_doubts(near, made), *_alike(made, best)]
    )


def _doubts(row: Row, made: Sequence[Row]) -> list[str]:
    """What is to be said where the latency that the answer rests on is not a valid measurement."""
    own = row.figures.get(_LATENCY)
    if own is None or not own.doubts:
        return []
    others = [one.figures[_LATENCY] for one in made if one is not row and _LATENCY in one.figures]
    doubted = sum(bool(value.doubts) for value in others)
    alike = f" Not valid either: {doubted} of the {len(others)} others." if doubted else ""
    return [
        f"The latency of {row.name}, {_shown(_LATENCY, own.value)} ms, is not a valid measurement "
        f"({', '.join(own.doubts)}).{alike} Measure again on a machine at rest, or give the results of a device, "
        "before you decide."
    ]


def _alike(made: Sequence[Row], best: str) -> list[str]:
    """What is to be said where the photos tell no row from another."""
    values = [value for row in made if (value := row.value(best)) is not None]
    if len(values) < 2 or len(set(values)) > 1 or "@" not in best:
        return []
    return [
        f"{best} is {_shown(best, values[0])} for every row: judge on more photos, or harder ones, to tell them apart."
    ]


def _lacking(rows: Sequence[Row], best: str, condition: Condition | None) -> str:
    """The figures that are missing, and how often."""
    names = [best, *([] if condition is None else _names(condition))]
    counts = {name: sum(row.value(name) is None for row in rows) for name in dict.fromkeys(names)}
    return ", ".join(f"{count} without {name}" for name, count in counts.items() if count)


def _listed(names: Sequence[str]) -> str:
    more = "" if len(names) <= _NAMED else f" and {len(names) - _NAMED} more"
    return f"{', '.join(names[:_NAMED])}{more}"


def _names(condition: Condition) -> list[str]:
    return list(dict.fromkeys(limit.name for limit in limits(condition)))


def _shown(name: str, value: float) -> str:
    return f"{value:.3f}" if "@" in name else f"{value:.4g}"
