"""Adapters: beside scipy's, and what they must undo."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from edgekit.evaluation.adapters import ADAPTERS, fit
from edgekit.metrics.retrieval import unit_rows


def rows(count: int, dim: int, seed: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).standard_normal((count, dim)))


def test_procrustes_is_that_of_scipy() -> None:
    new, old = rows(50, 6, 0), rows(50, 6, 1)
    assert fit("procrustes", new, old).weight == pytest.approx(orthogonal_procrustes(new, old)[0].T, abs=1e-5)


@pytest.mark.parametrize("kind", list(ADAPTERS))
@pytest.mark.parametrize("dim", [6, 9])
def test_a_rotation_is_undone(kind: str, dim: int) -> None:
    new = rows(80, 6, 0)
    basis = np.linalg.qr(np.random.default_rng(1).standard_normal((dim, dim)))[0][:6]
    adapter = fit(kind, new, new @ basis)
    assert adapter.weight.shape == (dim, 6)
    fresh = rows(5, 6, 2)
    assert adapter(fresh) == pytest.approx(fresh @ basis, abs=1e-5)


def test_into_fewer_values() -> None:
    new = rows(80, 9, 0)
    assert fit("procrustes", new, new[:, :4])(new).shape == (80, 4)


def test_a_linear_map_that_is_no_rotation_needs_least_squares() -> None:
    new = rows(200, 6, 0)
    old = unit_rows(new * [3, 1, 1, 1, 1, 0.2])
    error = {kind: np.abs(fit(kind, new, old)(new) - old).mean() for kind in ADAPTERS}
    assert error["least_squares"] < error["procrustes"] / 2
