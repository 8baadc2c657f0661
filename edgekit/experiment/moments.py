"""Counts, means and products of columns: all that the tests need of any number of units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Level", "Moments", "cuped", "level"]


@dataclass(frozen=True)
class Moments:
    """Of `n` units with k columns: the mean [..., k] and the products of deviations from it [..., k, k], in float64.

    Leading axes are many samples at once, which the simulations use.
    """

    n: np.ndarray | float
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Moments:
        """Of values [..., n, k]."""
        mean = values.mean(axis=-2)
        apart = values - mean[..., None, :]
        return cls(float(values.shape[-2]), mean, np.swapaxes(apart, -1, -2) @ apart)

    def __add__(self, other: Moments) -> Moments:
        """Of both together, without the loss of digits that sums of squares have (Chan, Golub and LeVeque, 1979)."""
        n = self.n + other.n
        apart = other.mean - self.mean
        share = np.asarray(other.n / n)[..., None]
        both = np.asarray(self.n * other.n / n)[..., None, None] * apart[..., :, None] * apart[..., None, :]
        return Moments(n, self.mean + apart * share, self.scatter + other.scatter + both)

    @property
    def covariance(self) -> np.ndarray:
        """[..., k, k], of a sample; 0 where there is one unit."""
        return np.asarray(self.scatter / np.maximum(np.asarray(self.n) - 1, 1)[..., None, None])


@dataclass(frozen=True)
class Level:
    """A metric in one arm: its value [...], and the variance [...] of what one of the `n` units adds to it."""

    n: np.ndarray | float
    value: np.ndarray
    variance: np.ndarray

    @property
    def squared_error(self) -> np.ndarray:
        """The squared standard error of the value."""
        return np.asarray(self.variance / self.n)


def level(arm: Moments, column: int, per: int | None = None) -> Level:
    """The mean of a column, or the ratio of two columns' totals, whose variance is the delta method's (Deng, Knoblich
    and Lu, 2018, "Applying the Delta Method in Metric Analytics").
    """
    weights = _weights(arm, column, per)
    return Level(arm.n, _value(arm, column, per), _product(arm, weights, weights))


def cuped(
    arms: list[Moments], column: int, covariate: int, pers: tuple[int | None, int | None] = (None, None)
) -> tuple[list[Level], np.ndarray]:
    """The metric in each arm with what the covariate explains taken off (CUPED; Deng, Xu, Kohavi and Walker, 2013), and
    the correlation [...] of the two within the arms. `pers` are the denominators of the metric and of the covariate.
    """
    per, per_before = pers
    own = [_weights(arm, column, per) for arm in arms]
    before = [_weights(arm, covariate, per_before) for arm in arms]
    pairs = list(zip(arms, own, before, strict=True))
    shared = np.sum([arm.n * _product(arm, y, x) for arm, y, x in pairs], axis=0)
    of_covariate = np.sum([arm.n * _product(arm, x, x) for arm, _, x in pairs], axis=0)
    of_metric = np.sum([arm.n * _product(arm, y, y) for arm, y, _ in pairs], axis=0)
    safe = np.where(of_covariate > 0, of_covariate, 1.0)  # a covariate without spread explains nothing
    slope = np.asarray(shared / safe)
    total = np.sum([np.asarray(arm.n) for arm in arms], axis=0)
    center = np.sum([arm.n * _value(arm, covariate, per_before) for arm in arms], axis=0) / total
    levels = []
    for arm, y, x in pairs:
        weights = y - slope[..., None] * x
        value = _value(arm, column, per) - slope * (_value(arm, covariate, per_before) - center)
        levels.append(Level(arm.n, value, _product(arm, weights, weights)))
    return levels, np.asarray(shared / np.sqrt(safe * np.where(of_metric > 0, of_metric, 1.0)))


def _value(arm: Moments, column: int, per: int | None) -> np.ndarray:
    value = arm.mean[..., column]
    return value if per is None else value / arm.mean[..., per]


def _weights(arm: Moments, column: int, per: int | None) -> np.ndarray:
    """[..., k]: how much each column of a unit moves the metric."""
    weights = np.zeros_like(arm.mean)
    if per is None:
        weights[..., column] = 1.0
        return weights
    base = arm.mean[..., per]
    weights[..., column] = 1.0 / base
    weights[..., per] -= arm.mean[..., column] / base**2
    return weights


def _product(arm: Moments, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...ij,...j->...", left, arm.covariance, right)
