"""Bounds that hold at every look at once, so that one may look as often as one likes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["FEWEST", "Evidence", "Mixture", "gap", "mixture", "quantile_evidence", "rate_evidence"]

FEWEST = 100  # units of an arm from which the asymptotic bounds are trusted
_TUNED_FOR = 1000  # requests of an arm at which the exact bounds are tightest
_GRID = 400  # values at which evidence is weighed; between them it is bounded, not guessed
_LEAST = 1e-15  # rates nearer to 0 or 1 are not told from them


@dataclass(frozen=True)
class Mixture:
    """The mixture sequential probability ratio test of a normal mean (Robbins, 1970), as Johari, Koomen, Pekelis and
    Walsh (2022, "Always Valid Inference") have it for A/B tests, and Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas
    (2021, "Time-uniform central limit theory and asymptotic confidence sequences") for estimated variances.

    `weight` is the variance of the mixing distribution over the squared standard error at this look.
    """

    weight: np.ndarray

    def p(self, z: np.ndarray) -> np.ndarray:
        """The always-valid p-value of the effect over its standard error."""
        grown = 1 + self.weight
        return np.asarray(np.minimum(1.0, np.exp(np.log(grown) / 2 - z**2 * self.weight / (2 * grown))))

    def critical(self, alpha: float) -> np.ndarray:
        """The z beyond which that p-value is below `alpha`: the half width of the interval in standard errors."""
        grown = 1 + self.weight
        return np.asarray(np.sqrt(grown / self.weight * (np.log(grown) - 2 * np.log(alpha))))


def mixture(units: np.ndarray, planned: int, alpha: float) -> Mixture:
    """The bound after `units`, narrowest where there are `planned` units, which must not depend on what was seen."""
    return Mixture(np.asarray(units) * _best(alpha) / planned)


@dataclass(frozen=True)
class Evidence:
    """How much what was seen of an arm speaks against each value that a figure of it may have.

    `against` gives the logarithm of a likelihood ratio at positions from `ends[0]` to `ends[1]`, least at `best`; were
    a position true, it would exceed a number x at any look with a probability of at most exp(-x). `value` is the figure
    that belongs to positions, to their outside where they are above `best` (True) or below.
    """

    against: Callable[[np.ndarray], np.ndarray]
    best: float
    ends: tuple[float, float]
    value: Callable[[np.ndarray, bool], np.ndarray]

    @property
    def least(self) -> float:
        """The evidence against what fits best, which is below 0."""
        return float(self.against(np.asarray(self.best)))

    def outwards(self, budget: float, upper: bool) -> tuple[np.ndarray, np.ndarray]:
        """Values on one side of the best one up to where the evidence is `budget`, and a lower bound of the evidence
        against all that lie beyond each; both [_GRID].
        """
        from scipy import optimize

        end = self.ends[upper]
        if float(self.against(np.asarray(end))) > budget:
            end = optimize.brentq(lambda x: float(self.against(np.asarray(x))) - budget, self.best, end, xtol=_LEAST)
        places = np.linspace(self.best, end, _GRID)
        evidence = np.minimum.accumulate(self.against(places)[::-1])[::-1]
        return self.value(places, upper), evidence


def rate_evidence(successes: int, n: int) -> Evidence:
    """Of a rate: a mixture of likelihood ratios over beta distributions around each rate, which is exact (the
    beta-binomial bound of Howard and Ramdas, 2022, "Sequential estimation of quantiles").
    """
    seen = min(max(successes / n, _LEAST), 1 - _LEAST) if n else 0.5

    def value(places: np.ndarray, upper: bool) -> np.ndarray:
        return np.where(places <= _LEAST, 0.0, np.where(places >= 1 - _LEAST, 1.0, places))

    return Evidence(lambda rates: _mixed(np.asarray(successes), n, rates), seen, (_LEAST, 1 - _LEAST), value)


def quantile_evidence(values: np.ndarray, level: float) -> Evidence:
    """Of the quantile `level` of values [n], which are sorted: how many values lie below it is binomial, which is exact
    for any distribution, also with ties. Positions are such numbers.
    """
    n = len(values)

    def value(places: np.ndarray, upper: bool) -> np.ndarray:
        at = np.floor(places).astype(int) if upper else np.ceil(places).astype(int) - 1
        inside = (at >= 0) & (at < n)
        return np.where(inside, values[np.clip(at, 0, n - 1)], np.inf if upper else -np.inf)

    return Evidence(lambda below: _mixed(below, n, np.asarray(level)), level * n, (0.0, float(n)), value)


def gap(
    ours: Evidence, theirs: Evidence, alpha: float, apart: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> tuple[float, float]:
    """Between which numbers `apart(our figure, their figure)` truly is, with a probability of 1 - `alpha` at all looks
    together; it must grow with ours and fall with theirs.

    The arms are independent, so that evidence against a pair of figures is the sum of both.
    """
    sides = []
    for upper in (False, True):
        total = -np.log(alpha)
        mine, evidence = ours.outwards(total - theirs.least, upper)
        other, against = theirs.outwards(total - ours.least, not upper)
        left = total - evidence[:-1]  # for theirs, where ours is between a value and the next one outside
        place = np.minimum(np.searchsorted(against, left), _GRID - 1)
        kept = left > against[0]
        pairs = apart(mine[1:][kept], other[place][kept])
        sides.append(float(pairs.max() if upper else pairs.min()))
    return sides[0], sides[1]


def _best(alpha: float) -> float:
    """Units times the mixing variance with which the bound is narrowest there (Waudby-Smith et al.,
    2021).
    """
    return float(-2 * np.log(alpha) + np.log(1 - 2 * np.log(alpha)))


def _mixed(successes: np.ndarray, n: int, rates: np.ndarray) -> np.ndarray:
    """The logarithm of the mixture's likelihood ratio against each rate; it grows to both sides of what was seen."""
    from scipy import special

    prior = _TUNED_FOR / _best(0.05)
    a, b = prior * rates, prior * (1 - rates)
    mixed = special.betaln(a + successes, b + n - successes) - special.betaln(a, b)
    return np.asarray(mixed - special.xlogy(successes, rates) - special.xlog1py(n - successes, -rates))
