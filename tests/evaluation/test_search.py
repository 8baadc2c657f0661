"""Exact search: the same rows as all similarities sorted, whatever the block, and in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import InputError
from edgekit.evaluation import search as module
from edgekit.evaluation.galleries import gallery_of
from edgekit.evaluation.search import search
from edgekit.metrics.retrieval import unit_rows


def rows(count: int, dim: int, seed: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).standard_normal((count, dim)))


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 20), st.booleans(), st.booleans())
def test_as_all_similarities_sorted(seed: int, count: int, k: int, exclude: bool, whole: bool) -> None:
    queries, values = rows(5, 6, seed), rows(count, 6, seed + 1)
    own = np.array([0, -1, count - 1, 0, -1]) if exclude else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", 4 * 6 * 7)  # seven rows at a time
        patch.setattr(module, "_ASKED", 2)
        gallery = gallery_of("plain", values)
        assert gallery.held is not None
        found = search(queries, gallery if whole else replace(gallery, held=None), k, own)
    scores = (queries @ values.T).astype(np.float64)
    if own is not None:
        scores[np.flatnonzero(own >= 0), own[own >= 0]] = -np.inf
    best = -np.sort(-scores, axis=1)
    length = min(k, count)
    assert found.rows.shape == (5, length)
    assert found.scores == pytest.approx(best[:, :length], abs=1e-6)
    beyond = best[:, k] if count > k else np.full(5, -np.inf)
    assert found.bound == pytest.approx(beyond, abs=1e-6)
    for query in range(5):
        listed = found.rows[query][found.rows[query] >= 0]
        assert len(set(listed.tolist())) == len(listed) == np.isfinite(best[query, :length]).sum()
        assert scores[query, listed] == pytest.approx(found.scores[query, : len(listed)], abs=1e-6)


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", 4 * 4 * 3)
        patch.setattr(module, "_ASKED", 2)
        for form in ("int8", "plain"):
            search(rows(3, 4, 0), gallery_of(form, rows(7, 4, 1)), 2, tick=lambda done, all_: told.append((done, all_)))
    assert told == [(3, 7), (6, 7), (7, 7), (2, 3), (3, 3)]


def test_queries_of_another_dimension_are_refused() -> None:
    with pytest.raises(InputError, match="queries have 3 values, the gallery has 4"):
        search(rows(1, 3, 0), gallery_of("plain", rows(2, 4, 0)), 1)


def test_truncated_queries_meet_truncated_rows() -> None:
    queries, values = rows(3, 8, 0), rows(50, 8, 1)
    found = search(queries, gallery_of("truncate=4", values), 5)
    wanted = unit_rows(queries[:, :4]) @ unit_rows(values[:, :4]).T
    assert found.scores == pytest.approx(-np.sort(-wanted, axis=1)[:, :5], abs=1e-6)


def test_the_memory_that_a_search_takes_is_bounded() -> None:
    """400,000 codes are 100 MiB, and would be 400 MiB as float32."""
    code = """
import resource
import numpy as np
from edgekit.evaluation.galleries import int8_gallery
from edgekit.evaluation.search import search
codes = np.random.default_rng(0).integers(-127, 128, (400_000, 256), dtype=np.int8)
queries = np.ones((4, 256), np.float32)
search(queries, int8_gallery(codes[:1000]), 10)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
search(queries, int8_gallery(codes), 10)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200 * 1024  # KiB
