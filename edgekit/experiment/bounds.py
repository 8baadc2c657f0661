"""Bounds that hold at every look at once, so that one may look as often as one likes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["FEWEST", "Mixture", "mixture", "quantile_bounds", "rate_bounds"]

FEWEST = 100  # units of an arm from which the asymptotic bounds are trusted
_TUNED_FOR = 1000  # requests of an arm at which the exact bounds are tightest
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


def rate_bounds(successes: int, n: int, alpha: float) -> tuple[float, float]:
    """Between which rates the true one is, with a probability of 1 - `alpha` at all looks together.

    Exact for any rate: each rate is tested by a mixture of likelihood ratios over beta distributions around it (the
    beta-binomial bound of Howard and Ramdas, 2022, "Sequential estimation of quantiles"). 0 and 1 where n is 0.
    """
    if not n:
        return 0.0, 1.0
    seen = min(max(successes / n, _LEAST), 1 - _LEAST)

    def refuted(rate: float) -> float:
        return _evidence(successes, n, rate) + np.log(alpha)

    low = 0.0 if successes == 0 else _edge(refuted, seen, _LEAST)
    return low or 0.0, 1.0 if successes == n else _edge(refuted, seen, 1 - _LEAST) or 1.0


def quantile_bounds(values: np.ndarray, level: float, alpha: float) -> tuple[float, float]:
    """Between which values [n], which are sorted, the quantile `level` of their distribution is, at all looks together.

    Exact for any distribution, also with ties: how many values lie below a quantile is binomial. Infinite where there
    are too few values.
    """
    n = len(values)

    def refuted(below: float) -> float:
        return _evidence(below, n, level) + np.log(alpha)

    first, last = _edge(refuted, level * n, 0.0), _edge(refuted, level * n, float(n))
    low = -np.inf if first is None else float(values[math.ceil(first) - 1])
    return low, np.inf if last is None else float(values[math.floor(last)])


def _best(alpha: float) -> float:
    """Units times the mixing variance with which the bound is narrowest there (Waudby-Smith et al.,
    2021).
    """
    return float(-2 * np.log(alpha) + np.log(1 - 2 * np.log(alpha)))


def _evidence(successes: float, n: int, rate: float) -> float:
    """The logarithm of the mixture's likelihood ratio against `rate`; it grows to both sides of what was seen."""
    from scipy import special

    prior = _TUNED_FOR / _best(0.05)
    a, b = prior * rate, prior * (1 - rate)
    mixed = special.betaln(a + successes, b + n - successes) - special.betaln(a, b)
    return float(mixed - special.xlogy(successes, rate) - special.xlog1py(n - successes, -rate))


def _edge(refuted: Callable[[float], float], inner: float, outer: float) -> float | None:
    """Where between the two `refuted` becomes positive; None where it does not."""
    from scipy import optimize

    if refuted(outer) <= 0 or refuted(inner) >= 0:
        return None
    return float(optimize.brentq(refuted, inner, outer, xtol=_LEAST))
