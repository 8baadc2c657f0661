"""How often the tests of `edgekit experiment` are wrong where there is nothing to find (A/A), and what CUPED gains.

Each row draws many experiments without any difference and counts how often a test finds one at alpha 0.05, in one look
at the end or in 30 daily ones. Canaries are drawn exactly at their limit, and counted where any look lets them through.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from edgekit.experiment.bounds import gap, quantile_evidence, rate_evidence
from edgekit.experiment.canary import slower
from edgekit.experiment.compare import Difference, compare_rates, sequential_test, welch_test
from edgekit.experiment.moments import Level, Moments, cuped, level
from edgekit.support.progress import table

ALPHA = 0.05
ARMS = (600, 900)  # units
DAYS, DAILY = 30, 100  # looks, and units of each arm between two
CORRELATION = 0.8
METRICS = 4  # of the rows that correct for several
AT_ONCE = 250  # experiments that are held at a time
CANARIES = 0.1  # share of the experiments, for their bounds are found one by one

Draw = Callable[[np.random.Generator, int, int], np.ndarray]  # of runs and units: values [runs, units, columns]
Wrong = Callable[[np.random.Generator, int], np.ndarray]  # whether each of the runs is wrong, bool [runs]


@dataclass(frozen=True)
class Rate:
    """How often a test was wrong, and between which rates it should be."""

    test: str
    runs: int
    wrong: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        return self.low <= self.wrong <= self.high


@dataclass(frozen=True)
class Gain:
    """The width of CUPED's interval over the plain one's, and what the correlation says it should be."""

    metric: str
    correlation: float
    measured: float
    expected: float


def spending(rng: np.random.Generator, runs: int, units: int) -> np.ndarray:
    """A skewed value, and one from before with the correlation `CORRELATION`."""
    before = rng.standard_gamma(2.0, (runs, units))
    own = rng.standard_gamma(2.0, (runs, units))
    return np.stack([CORRELATION * before + np.sqrt(1 - CORRELATION**2) * own, before], axis=-1)


def visits(rng: np.random.Generator, runs: int, units: int) -> np.ndarray:
    """Clicks and views of people who click differently often, and their clicks and views before."""
    taste = rng.beta(2.0, 8.0, (runs, units))
    views = [1 + rng.poisson(5.0, (runs, units)) for _ in range(2)]
    clicks = [rng.binomial(count, taste) for count in views]
    return np.stack([clicks[0], views[0], clicks[1], views[1]], axis=-1).astype(float)


def purchases(rng: np.random.Generator, runs: int, units: int) -> np.ndarray:
    """0 and 1."""
    return (rng.random((runs, units, 1)) < 0.2).astype(float)


def one_look(draw: Draw, compare: Callable[[Moments, Moments], Difference]) -> Wrong:
    """Whether the test finds a difference once all units are there."""

    def wrong(rng: np.random.Generator, runs: int) -> np.ndarray:
        control, arm = (Moments.of(draw(rng, runs, units)) for units in ARMS)
        return compare(control, arm).p <= ALPHA

    return wrong


def any_look(draw: Draw, test: Callable[[Level, Level], Difference]) -> Wrong:
    """Whether the test finds a difference on any day."""

    def wrong(rng: np.random.Generator, runs: int) -> np.ndarray:
        found = np.zeros(runs, bool)
        arms: list[Moments] = []
        for _ in range(DAYS):
            today = [Moments.of(draw(rng, runs, DAILY)) for _ in range(2)]
            arms = [old + new for old, new in zip(arms, today, strict=True)] if arms else today
            found |= test(level(arms[0], 0), level(arms[1], 0)).p <= ALPHA
        return found

    return wrong


def any_metric(method: str) -> Wrong:
    """Whether any of several metrics without a difference is told as different after the correction."""

    def wrong(rng: np.random.Generator, runs: int) -> np.ndarray:
        from statsmodels.stats.multitest import multipletests

        arms = [[level(Moments.of(spending(rng, runs, units)), 0) for units in ARMS] for _ in range(METRICS)]
        gc.freeze()  # statsmodels collects garbage in each call, of which most objects are then left out
        p = np.stack([welch_test(control, arm, ALPHA).p for control, arm in arms], axis=1)
        return np.asarray([multipletests(row, ALPHA, method)[0].any() for row in p])

    return wrong


def errors_let_through(rng: np.random.Generator, runs: int) -> np.ndarray:
    """A canary whose error rate is worse by exactly the limit."""
    limit, stable = 0.02, 0.01
    counts = [np.cumsum(rng.binomial(DAILY, rate, (runs, DAYS)), axis=1) for rate in (stable, stable + limit)]
    n = DAILY * (1 + np.arange(DAYS))

    def kept(run: int, day: int) -> bool:
        before, after = (rate_evidence(int(count[run, day]), int(n[day])) for count in counts)
        return gap(after, before, ALPHA, np.subtract)[1] <= limit

    return np.asarray([any(kept(run, day) for day in range(DAYS)) for run in range(runs)])


def latency_let_through(rng: np.random.Generator, runs: int) -> np.ndarray:
    """A canary whose latencies are slower by exactly the limit."""
    limit = 0.1

    def kept(times: np.ndarray, day: int) -> bool:
        seen = (np.sort(side[: DAILY * (1 + day)]) for side in times)
        before, after = (quantile_evidence(values, 0.95) for values in seen)
        return gap(after, before, ALPHA, slower)[1] <= limit

    found = []
    for _ in range(runs):
        times = rng.lognormal(3.0, 0.1, (2, DAILY * DAYS)) * np.asarray([[1.0], [1 + limit]])
        found.append(any(kept(times, day) for day in range(DAYS)))
    return np.asarray(found)


def plain(column: int = 0, per: int | None = None) -> Callable[[Moments, Moments], Difference]:
    return lambda control, arm: welch_test(level(control, column, per), level(arm, column, per), ALPHA)


def adjusted(
    covariate: int, per: int | None = None, before: int | None = None
) -> Callable[[Moments, Moments], Difference]:
    def compare(control: Moments, arm: Moments) -> Difference:
        ours, theirs = cuped([control, arm], 0, covariate, (per, before))[0]
        return welch_test(ours, theirs, ALPHA)

    return compare


def sequential(control: Level, arm: Level) -> Difference:
    return sequential_test(control, arm, ALPHA, 2 * DAILY * DAYS)


EXACT, BOUND = (0.045, 0.055), (0.0, ALPHA)
TESTS: Mapping[str, tuple[Wrong, tuple[float, float]]] = {
    "two proportions": (one_look(purchases, lambda a, b: compare_rates(level(a, 0), level(b, 0), ALPHA)), EXACT),
    "Welch, a skewed mean": (one_look(spending, plain()), EXACT),
    "delta method, a ratio; rows clustered by user": (one_look(visits, plain(0, 1)), EXACT),
    "CUPED, a mean": (one_look(spending, adjusted(1)), EXACT),
    "CUPED, a ratio": (one_look(visits, adjusted(2, 1, 3)), EXACT),
    "any of 4 metrics, Holm": (any_metric("holm"), EXACT),
    "any of 4 metrics, Benjamini-Hochberg": (any_metric("fdr_bh"), EXACT),
    "always valid, a rate, 30 daily looks": (any_look(purchases, sequential), BOUND),
    "always valid, a mean, 30 daily looks": (any_look(spending, sequential), BOUND),
    "for contrast: Welch, a mean, 30 daily looks": (
        any_look(spending, lambda a, b: welch_test(a, b, ALPHA)),
        (0.1, 1.0),
    ),
    "canary, errors at the limit, 30 looks": (errors_let_through, BOUND),
    "canary, p95 at the limit, 30 looks": (latency_let_through, BOUND),
}


def rates(runs: int, seed: int) -> Iterator[Rate]:
    """Every row of `TESTS`; the same seed gives the same rates."""
    for place, (name, (wrong, due)) in enumerate(TESTS.items()):
        rng = np.random.default_rng([seed, place])
        asked = max(1, round(runs * CANARIES)) if name.startswith("canary") else runs
        parts = [wrong(rng, min(AT_ONCE, asked - start)) for start in range(0, asked, AT_ONCE)]
        yield Rate(name, asked, float(np.concatenate(parts).mean()), *due)


def gains(runs: int, seed: int) -> Iterator[Gain]:
    """How much narrower CUPED makes the intervals, of the median experiment."""
    for name, draw, without, with_, pers in (
        ("a mean", spending, plain(), adjusted(1), (1, None, None)),
        ("a ratio", visits, plain(0, 1), adjusted(2, 1, 3), (2, 1, 3)),
    ):
        rng = np.random.default_rng(seed)
        arms = [Moments.of(draw(rng, min(runs, AT_ONCE), units)) for units in ARMS]
        widths = [np.subtract(*compare(*arms).interval[::-1]) for compare in (with_, without)]
        correlation = float(np.median(cuped(arms, 0, pers[0], pers[1:])[1]))
        measured = float(np.median(widths[0] / widths[1]))
        yield Gain(name, correlation, measured, float(np.sqrt(1 - correlation**2)))


@click.command(help=__doc__)
@click.option("--runs", default=10_000, show_default=True, help="Experiments a row; a tenth for canaries.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(runs: int, seed: int, out: Path | None) -> None:
    found = []
    for row in rates(runs, seed):
        click.echo(f"{row.test}: {row.wrong:.4f}", err=True)
        found.append(row)
    gained = [*gains(runs, seed)]
    rows = [
        (row.test, f"{row.runs}", f"{row.wrong:.4f}", f"{row.low:g} to {row.high:g}", "yes" if row.holds else "NO")
        for row in found
    ]
    table("Found where nothing is, alpha 0.05", ("test", "runs", "rate", "due", "holds"), rows, right=("runs", "rate"))
    cells = [(row.metric, f"{row.correlation:.3f}", f"{row.measured:.4f}", f"{row.expected:.4f}") for row in gained]
    columns = ("metric", "correlation", "width over the plain one's", "sqrt(1 - correlation^2)")
    table("CUPED's intervals", columns, cells, right=columns[1:])
    if out is not None:
        document = {"rates": [asdict(row) for row in found], "cuped": [asdict(row) for row in gained]}
        out.write_text(json.dumps(document, indent=2) + "\n")
    if not all(row.holds for row in found):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
