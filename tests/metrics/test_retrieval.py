"""Every figure against a slow, obvious computation of the same thing, or against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics.pairwise import cosine_similarity, paired_cosine_distances
from sklearn.neighbors import NearestNeighbors

from edgekit.metrics import retrieval as metrics

values = st.floats(-2, 2, width=32).filter(lambda value: value == 0 or abs(value) > 1e-3)


@st.composite
def matrices(draw: st.DrawFn, count: int = 1, min_rows: int = 1) -> list[np.ndarray]:
    """`count` float32 matrices of one shape."""
    shape = (draw(st.integers(min_rows, 12)), draw(st.integers(1, 6)))
    return [draw(arrays(np.float32, shape, elements=values)) for _ in range(count)]


def random_units(rows: int, dim: int, seed: int = 0) -> np.ndarray:
    rows_ = np.random.default_rng(seed).normal(size=(rows, dim))
    return (rows_ / np.linalg.norm(rows_, axis=1, keepdims=True)).astype(np.float32)


@settings(deadline=None, max_examples=40)
@given(matrices(2))
def test_cosine_is_scikit_learns(pair: list[np.ndarray]) -> None:
    left, right = pair
    some = (np.abs(left).sum(axis=1) > 0) & (np.abs(right).sum(axis=1) > 0)
    found = metrics.cosine(left, right)
    assert found.shape == (len(left),)
    assert np.all(found[~some] == 0)
    if some.any():
        expected = 1 - paired_cosine_distances(left[some].astype(np.float64), right[some].astype(np.float64))
        np.testing.assert_allclose(found[some], expected, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(matrices(2))
def test_errors_are_what_loops_find(pair: list[np.ndarray]) -> None:
    left, right = pair
    worst = max(abs(float(a) - float(b)) for a, b in zip(left.ravel(), right.ravel(), strict=True))
    assert metrics.max_abs_error(left, right) == worst
    length = max(abs(sum(float(v) ** 2 for v in row) ** 0.5 - 1) for row in left)
    assert metrics.norm_error(left) == pytest.approx(length, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(matrices(1, min_rows=2))
def test_spread_is_the_mean_over_all_pairs(single: list[np.ndarray]) -> None:
    rows = single[0].astype(np.float64)
    rows = rows[np.linalg.norm(rows, axis=1) > 0]
    if len(rows) < 2:
        return
    similar = cosine_similarity(rows)
    pairs = similar[~np.eye(len(rows), dtype=bool)]
    found = metrics.spread(rows.astype(np.float32))
    assert found.distance == pytest.approx(1 - pairs.mean(), abs=1e-6)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    eigenvalues = np.linalg.svd(unit - unit.mean(axis=0), compute_uv=False) ** 2
    if eigenvalues.sum() > 1e-9:
        assert found.dimensions == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=1e-4)


def test_spread_knows_constant_collapsed_and_healthy_embeddings() -> None:
    random = np.random.default_rng(0)
    constant = np.tile(random_units(1, 64), (50, 1))
    assert metrics.spread(constant).distance < 1e-9
    almost = constant + 1e-6 * random.normal(size=constant.shape).astype(np.float32)
    assert metrics.spread(almost).distance < 1e-6
    line = random_units(1, 64) + random.normal(size=(50, 1)) * random_units(1, 64, seed=1)
    assert metrics.spread(line.astype(np.float32)).distance > 0.1
    assert metrics.spread(line.astype(np.float32)).dimensions < 1.5
    assert metrics.off_curve(line.astype(np.float32)) < 0.05 * metrics.spread(line.astype(np.float32)).distance
    assert metrics.off_curve(random_units(50, 64)) > 0.8
    healthy = metrics.spread(random_units(50, 64))
    assert healthy.distance > 0.9
    assert healthy.dimensions > 20
    assert metrics.spread(constant[:1]) == metrics.Spread(0.0, 0.0)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_overlap_is_scikit_learns(k: int) -> None:
    left = random_units(60, 16)
    right = left + 0.2 * random_units(60, 16, seed=1)
    near = [
        NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(side).kneighbors(return_distance=False)
        for side in (left, right)
    ]
    shared = [len(set(a) & set(b)) / k for a, b in zip(*near, strict=True)]
    assert metrics.neighbour_overlap(left, right, k) == pytest.approx(np.mean(shared))
    assert metrics.neighbour_overlap(left, left, k) == 1.0


def test_overlap_takes_exactly_k_where_all_are_tied() -> None:
    same = np.ones((9, 4), dtype=np.float32)
    assert metrics.neighbour_overlap(same, same, 3) == 1.0


def slow_ranks(
    query: np.ndarray, gallery: np.ndarray, q_labels: list[int], g_labels: list[int], exclude_self: bool
) -> list[int]:
    found = []
    for i, row in enumerate(query):
        scored = []
        for j, other in enumerate(gallery):
            if not (exclude_self and i == j):
                scale = np.linalg.norm(row) * np.linalg.norm(other)
                scored.append((float(row @ other) / scale if scale else 0.0, q_labels[i] == g_labels[j]))
        best = max((score for score, relevant in scored if relevant), default=None)
        before = sum(1 for score, relevant in scored if not relevant and best is not None and score > best - 1e-6)
        found.append(0 if best is None else before + 1)
    return found


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_ranks_are_what_loops_find(data: st.DataObject) -> None:
    # Coarse values give many exact ties and, being far apart otherwise, none at the edge of the tolerance.
    dim = data.draw(st.integers(1, 4))
    coarse = st.integers(-2, 2).map(float)
    gallery = data.draw(arrays(np.float64, st.tuples(st.integers(1, 10), st.just(dim)), elements=coarse))
    exclude = data.draw(st.booleans())
    rows = len(gallery) if exclude else data.draw(st.integers(1, 10))
    query = data.draw(arrays(np.float64, (rows, dim), elements=coarse))
    g_labels = data.draw(st.lists(st.integers(0, 3), min_size=len(gallery), max_size=len(gallery)))
    q_labels = data.draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows))
    found = metrics.ranks(
        query.astype(np.float32), gallery.astype(np.float32), q_labels, g_labels, exclude_self=exclude
    )
    assert found.tolist() == slow_ranks(query, gallery, q_labels, g_labels, exclude)


@pytest.mark.parametrize("size", [1, 700])
def test_blocks_do_not_change_a_figure(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = random_units(90, 8), [i // 3 for i in range(90)]
    whole = metrics.ranks(rows, rows, labels, labels, exclude_self=True)
    overlap = metrics.neighbour_overlap(rows, rows[::-1], 5)
    monkeypatch.setattr(metrics, "_BLOCK", size)
    assert metrics.ranks(rows, rows, labels, labels, exclude_self=True).tolist() == whole.tolist()
    assert metrics.neighbour_overlap(rows, rows[::-1], 5) == overlap


def test_ranks_do_not_depend_on_the_gallerys_order() -> None:
    rows = np.round(random_units(40, 3), 1)
    labels = [i % 7 for i in range(40)]
    order = np.random.default_rng(1).permutation(40)
    straight = metrics.ranks(rows[:5], rows, labels[:5], labels, exclude_self=False)
    shuffled = metrics.ranks(rows[:5], rows[order], labels[:5], [labels[i] for i in order], exclude_self=False)
    assert straight.tolist() == shuffled.tolist()


def test_embeddings_that_are_all_alike_find_nothing() -> None:
    same = np.tile(random_units(1, 8), (30, 1)) + np.float32(1e-9)
    labels = [i // 2 for i in range(30)]
    assert metrics.recall(same, same, labels, labels, exclude_self=True).at == {1: 0.0, 10: 0.0}


def test_recall_leaves_out_queries_without_a_relevant_image() -> None:
    rows = np.eye(4, dtype=np.float32)
    rows[1] = rows[0]
    found = metrics.recall(rows, rows, ["a", "a", "b", "c"], ["a", "a", "b", "c"], exclude_self=True)
    assert found == metrics.Recall({1: 1.0, 10: 1.0}, 2)
    alone = metrics.recall(rows, rows, list("abcd"), list("abcd"), exclude_self=True)
    assert alone == metrics.Recall({1: 0.0, 10: 0.0}, 0)


def test_standard_error_is_that_of_many_draws() -> None:
    draws = np.random.default_rng(0).binomial(64, 0.8, size=20_000) / 64
    assert metrics.standard_error(0.8, 64) == pytest.approx(draws.std(), rel=0.03)
    assert metrics.standard_error(1.0, 64) == 0.0
    assert metrics.standard_error(0.5, 0) == 0.0
