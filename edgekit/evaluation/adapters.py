"""Query adapters: one linear layer that takes a new model's embeddings into the space of an old one.

An adapter is a row of `ADAPTERS`, learned from pairs: the same photo embedded by both models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgekit.evaluation.galleries import unit

__all__ = ["ADAPTERS", "Adapter", "fit"]


@dataclass(frozen=True, eq=False)
class Adapter:
    """`weight` float32 [old D, new D], as of a linear layer; what it gives is scaled to unit length."""

    kind: str
    weight: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Embeddings [N, new D] in the old space: float32 [N, old D] of unit length."""
        return unit(unit(values) @ self.weight.T)


def fit(kind: str, new: np.ndarray, old: np.ndarray) -> Adapter:
    """Learn an adapter of `ADAPTERS` from pairs [N, new D] and [N, old D]; both are scaled to unit length."""
    weight = ADAPTERS[kind](unit(new).astype(np.float64), unit(old).astype(np.float64))
    return Adapter(kind, np.ascontiguousarray(weight, np.float32))


def _procrustes(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """The rotation that brings the pairs nearest; with orthonormal rows or columns where the dimensions differ.

    Schönemann, "A generalized solution of the orthogonal Procrustes problem", 1966.
    """
    left, _, right = np.linalg.svd(old.T @ new, full_matrices=False)
    return np.asarray(left @ right)


def _least_squares(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.lstsq(new, old, rcond=None)[0].T)


ADAPTERS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "procrustes": _procrustes,
    "least_squares": _least_squares,
}
