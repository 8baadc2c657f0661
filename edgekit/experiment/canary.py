"""Whether a release that a few users have may go on: its latency and its errors against the stable one's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from edgekit.errors import CanaryStopError, CanaryWaitError, InputError, MissingDependencyError, UsageError
from edgekit.experiment.bounds import FEWEST, gap, quantile_evidence, rate_evidence
from edgekit.experiment.compare import sequential_test
from edgekit.experiment.moments import Moments, level
from edgekit.experiment.table import Table, listed, open_table
from edgekit.experiment.units import arm_codes
from edgekit.experiment.words import amount_of, percent
from edgekit.support.fields import Converted, PathField, check_number
from edgekit.support.progress import Reporter, Silent, Tick
from edgekit.support.text import shown

__all__ = ["CanaryRequest", "CanaryResult", "Guardrail", "judge_canary", "slower"]

_USUAL = {
    "arm": ("arm", "variant", "group", "release", "version"),
    "latency": ("latency_ms", "latency", "duration_ms"),
    "errors": ("errors", "error", "failed", "failures"),
}
_STABLE = ("stable", "control", "baseline", "base", "old")
_PLANNED = 10_000  # requests at which the bound of a mean is narrowest
_MOST = 1e15  # requests of a row; more are not counted exactly
_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?)")


@dataclass(frozen=True, kw_only=True)
class CanaryRequest:
    """Which requests to judge, and how much worse the canary may be.

    A column that is None is found by its usual name; one of latency and errors must be there.
    """

    table: PathField = Converted(Path)
    stable: str | None = None  # the arm that the other one is compared with
    arm: str | None = None
    latency: str | None = None  # column, milliseconds
    errors: str | None = None  # column of 0 and 1, or of counts where there is a column n
    latency_at: str = "p95"  # or another percentile, or "mean"
    max_slower: float = 0.10  # share of the stable latency
    max_more_errors: float = 0.005  # difference of the error rates
    alpha: float = 0.05

    def __post_init__(self) -> None:
        """Raises UsageError where a value is none of those that can be meant."""
        check_number("alpha", self.alpha, 1e-9, 0.5, whole=False)
        check_number("max_slower", self.max_slower, 0, 100, whole=False)
        check_number("max_more_errors", self.max_more_errors, 0, 1, whole=False)
        quantile = _QUANTILE.fullmatch(self.latency_at)
        if self.latency_at != "mean" and not (quantile and float(quantile[1]) > 0):
            raise UsageError(
                f"`latency_at` is {self.latency_at!r}; give mean, or a percentile as p95", field="latency_at"
            )


@dataclass(frozen=True, kw_only=True)
class Guardrail:
    """One limit: by how much the canary is worse, which lies between `low` and `high` at all looks together (None:
    unbounded).

    For latency it is a share of the stable one's, for errors a difference of rates.
    """

    name: str
    stable: float
    canary: float
    worse: float | None
    low: float | None
    high: float | None
    limit: float
    state: Literal["kept", "broken", "open"]
    sentence: str


@dataclass(frozen=True, kw_only=True)
class CanaryResult:
    """The answer, and each guardrail's reason."""

    answer: Literal["continue", "stop", "wait"]
    requests: Mapping[str, int]
    guardrails: tuple[Guardrail, ...]

    def raise_for_answer(self) -> None:
        """Raise CanaryStopError or CanaryWaitError, unless the canary may go on."""
        blamed = {"stop": "broken", "wait": "open"}.get(self.answer)
        reasons = " ".join(row.sentence for row in self.guardrails if row.state == blamed)
        if self.answer == "stop":
            raise CanaryStopError(f"stop the canary: {reasons}")
        if self.answer == "wait":
            raise CanaryWaitError(f"wait, and judge again later: {reasons}")


def judge_canary(request: CanaryRequest, reporter: Reporter | None = None) -> CanaryResult:
    """Judge a canary by non-inferiority: a guardrail is kept once the canary is surely not worse than its limit, and
    broken once it surely is. With a probability of 1 - alpha no answer is wrong, however often it is asked for.

    Error rates and percentiles have exact bounds (`edgekit.experiment.bounds`), a mean latency an asymptotic one; alpha
    is divided among the guardrails. Requests are taken to be independent.

    Raises:
        InputError: the table cannot be read, has not two arms, or values that are no latency or no error.
        UsageError: the stable arm is not there.
        MissingDependencyError: scipy or pyarrow is not installed.
    """
    try:
        import scipy
    except ImportError:
        raise MissingDependencyError("judging a canary needs scipy: run `pip install 'edgekit[evaluate]'`") from None
    del scipy
    table = open_table(request.table)
    columns = _columns(request, table)
    with (reporter or Silent()).stage(f"read {shown(table.path.name)}") as tick:
        traffic = _read(table, columns, tick)
    stable, canary = _sides(request, sorted(traffic), table)
    rows = tuple(_guardrails(traffic[stable], traffic[canary], request, columns))
    states = {row.state for row in rows}
    answer: Literal["continue", "stop", "wait"] = (
        "stop" if "broken" in states else "wait" if "open" in states else "continue"
    )
    return CanaryResult(answer=answer, requests={side: traffic[side].n for side in (stable, canary)}, guardrails=rows)


@dataclass
class _Traffic:
    """What an arm served."""

    n: int
    errors: int
    latencies: list[np.ndarray]


def _columns(request: CanaryRequest, table: Table) -> dict[str, str | None]:
    lower = {name.lower(): name for name in table.names}
    found: dict[str, str | None] = {}
    for role, names in _USUAL.items():
        given = getattr(request, role)
        table.require([given] if given else [])
        found[role] = given or next((lower[name] for name in names if name in lower), None)
    if found["arm"] is None:
        table.require(["arm"])
    if found["latency"] is None and found["errors"] is None:
        raise InputError(
            f"{shown(str(table.path))}: has no column of latencies or errors; name one as `latency` or `errors`: "
            f"{listed(table.names)}"
        )
    if "n" in table.names and found["errors"] is not None:
        found |= {"latency": None, "n": "n"}  # totals have no single latencies
    return found


def _read(table: Table, columns: Mapping[str, str | None], tick: Tick) -> dict[str, _Traffic]:
    arms: dict[str, int] = {}
    traffic: dict[str, _Traffic] = {}
    roles = [role for role in ("latency", "errors", "n") if columns.get(role)]
    for batch in table.batches([str(columns["arm"])], [str(columns[role]) for role in roles]):
        codes = arm_codes(batch.texts[str(columns["arm"])], arms, table)
        numbers = dict(zip(roles, batch.numbers.T, strict=True))
        for role, values in numbers.items():
            _check(role, values, numbers.get("n"), batch.first, table)
        tick(rows := batch.first + len(codes) - 1, max(rows, table.rows))
        for name, code in arms.items():
            here = codes == code
            arm = traffic.setdefault(name, _Traffic(0, 0, []))
            arm.n += int(numbers["n"][here].sum()) if "n" in numbers else int(here.sum())
            arm.errors += int(numbers["errors"][here].sum()) if "errors" in numbers else 0
            if "latency" in numbers:
                arm.latencies.append(numbers["latency"][here])
    return traffic


def _check(role: str, values: np.ndarray, counts: np.ndarray | None, first: int, table: Table) -> None:
    wrong = values < 0
    needs = "0 or more"
    if role != "latency":
        wrong |= (values != np.floor(values)) | (values > _MOST)
        needs = f"a whole number from 0 to {_MOST:g}"
    if role == "errors":
        wrong |= values > (1 if counts is None else counts)
        needs = "0 or 1" if counts is None else "a whole number from 0 to n"
    if wrong.any():
        place = int(wrong.argmax())
        raise InputError(
            f"{shown(str(table.path))}: {role} is {values[place]:g} in row {first + place}; it must be {needs}"
        )


def _sides(request: CanaryRequest, arms: Sequence[str], table: Table) -> tuple[str, str]:
    if len(arms) != 2:
        raise InputError(
            f"{shown(str(table.path))}: has {len(arms)} arm{'s' * (len(arms) != 1)}, {listed(arms)}; a canary is "
            "judged between two"
        )
    usual = {arm.lower(): arm for arm in arms}
    stable = request.stable or next((usual[name] for name in _STABLE if name in usual), None)
    if stable is None or stable not in arms:
        wrong = "is not given" if stable is None else f"is {stable!r}, which is no arm"
        raise UsageError(f"`stable` {wrong}; choose from the arms of {table.path.name}: {listed(arms)}", field="stable")
    return stable, arms[1 - list(arms).index(stable)]


def _guardrails(
    stable: _Traffic, canary: _Traffic, request: CanaryRequest, columns: Mapping[str, str | None]
) -> Iterator[Guardrail]:
    kinds = [kind for kind in ("latency", "errors") if columns[kind]]
    alpha = request.alpha / len(kinds)
    if "latency" in kinds:
        yield _latency(stable, canary, request, alpha)
    if "errors" in kinds:
        ours, theirs = (rate_evidence(side.errors, side.n) for side in (canary, stable))
        seen = [side.errors / max(side.n, 1) for side in (stable, canary)]
        bounds = gap(ours, theirs, alpha, np.subtract)
        yield _guardrail("error rate", (seen[0], seen[1]), seen[1] - seen[0], bounds, request.max_more_errors)


def _latency(stable: _Traffic, canary: _Traffic, request: CanaryRequest, alpha: float) -> Guardrail:
    before, after = (np.sort(np.concatenate(side.latencies)) for side in (stable, canary))
    if request.latency_at == "mean":
        name, seen = "mean latency", (float(before.mean()), float(after.mean()))
        bounds = (-np.inf, np.inf)
        if min(len(before), len(after)) >= FEWEST:
            levels = [level(Moments.of(values[:, None]), 0) for values in (before, after)]
            low, high = sequential_test(levels[0], levels[1], alpha, _PLANNED).relative_interval
            bounds = (float(low), float(high)) if np.isfinite(low) and np.isfinite(high) else bounds
    else:
        at = float(request.latency_at[1:]) / 100
        name, seen = f"{request.latency_at} latency", (float(np.quantile(before, at)), float(np.quantile(after, at)))
        theirs, ours = (quantile_evidence(values, at) for values in (before, after))
        bounds = gap(ours, theirs, alpha, slower)
    return _guardrail(name, seen, float(slower(*map(np.asarray, reversed(seen)))), bounds, request.max_slower)


def slower(canary: np.ndarray, stable: np.ndarray) -> np.ndarray:
    """By what share latencies are above others; infinite over a latency of 0, unless they are 0 as well."""
    known = stable > 0
    share = np.maximum(canary, 0.0) / np.where(known, stable, 1.0) - 1
    return np.where(known, share, np.where(canary > 0, np.inf, 0.0))


def _guardrail(
    name: str, seen: tuple[float, float], worse: float, bounds: tuple[float, float], limit: float
) -> Guardrail:
    low, high = bounds
    state: Literal["kept", "broken", "open"] = "kept" if high <= limit else "broken" if low > limit else "open"
    rate = name == "error rate"

    def told(value: float) -> str:
        if not np.isfinite(value):
            return "any amount"
        return amount_of(value, "rate") if rate else f"{'+' if value >= 0 else ''}{percent(value)}"

    held = {
        "kept": f"which stays within the limit of {told(limit)}",
        "broken": f"which is beyond the limit of {told(limit)}",
        "open": f"while the limit is {told(limit)}: too little is known yet",
    }[state]
    figures = " against ".join(percent(value) if rate else f"{value:.4g} ms" for value in reversed(seen))
    sentence = f"{name}: {figures}, a true difference between {told(low)} and {told(high)}, {held}."
    known = [float(value) if np.isfinite(value) else None for value in (worse, low, high)]
    return Guardrail(
        name=name,
        stable=seen[0],
        canary=seen[1],
        worse=known[0],
        low=known[1],
        high=known[2],
        limit=limit,
        state=state,
        sentence=sentence,
    )
