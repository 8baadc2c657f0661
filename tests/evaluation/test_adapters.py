"""Adapters: beside scipy's, and what they must undo."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from scipy.linalg import orthogonal_procrustes

from edgekit.errors import OutputError
from edgekit.evaluation.adapters import ADAPTERS, fit, write_adapter
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


def test_the_file_has_the_tensor_and_says_what_it_is_for(tmp_path: Path) -> None:
    adapter = fit("procrustes", rows(20, 4, 0), rows(20, 4, 1))
    path = write_adapter(adapter, tmp_path / "adapter.safetensors", "ab" * 32, None)
    with safe_open(path, "numpy") as file:
        assert (file.get_tensor("weight") == adapter.weight).all()
        facts = json.loads(file.metadata()["edgekit.adapter"])
    assert facts == {
        "schema": "edgekit.adapter/1",
        "kind": "procrustes",
        "old_model": "ab" * 32,
        "new_model": None,
    }
    again = write_adapter(adapter, tmp_path / "again.safetensors", "ab" * 32, None)
    assert path.read_bytes() == again.read_bytes()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        write_adapter(adapter, tmp_path / "folder", None, None)
