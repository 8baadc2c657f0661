"""Every figure against a case small enough for pen and paper, or against another implementation of it."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.distillation import metrics
from edgekit.errors import MissingDependencyError, ModelError
from edgekit.metrics.retrieval import recall


def random_rows(rows: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)


def at_cosines(*cosines: float) -> np.ndarray:
    """One row a cosine, as seen from the query (1, 0)."""
    return np.array([(value, math.sqrt(1 - value**2)) for value in cosines], np.float32)


def ids(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


QUERY = np.array([[1.0, 0.0]], np.float32)


@pytest.mark.parametrize("rank", [1, 2, 5, 10, 11])
def test_a_single_relevant_photo_at_a_rank(rank: int) -> None:
    gallery = at_cosines(*np.linspace(0.9, -0.9, 12))
    listings = np.where(np.arange(12) == rank - 1, 7, 8)
    found = metrics.retrieval(QUERY, gallery, ids(7), listings)
    assert found.ranks.tolist() == [rank]
    assert (found.recall_1, found.recall_10) == (rank == 1, rank <= 10)
    assert found.ndcg_10 == pytest.approx(1 / math.log2(1 + rank) if rank <= 10 else 0.0)
    assert found.mean_ap == pytest.approx(1 / rank)
    assert (found.queries, found.gallery) == (1, 12)


def test_two_relevant_photos_and_a_tie_by_hand() -> None:
    found = metrics.retrieval(QUERY, at_cosines(0.9, 0.8, 0.7, 0.6), ids(3), ids(3, 4, 5, 3))
    assert found.mean_ap == pytest.approx((1 / 1 + 2 / 4) / 2)
    assert found.ndcg_10 == pytest.approx((1 + 1 / math.log2(5)) / (1 + 1 / math.log2(3)))
    tied = metrics.retrieval(QUERY, at_cosines(0.5, 0.5), ids(1), ids(1, 2))
    assert (tied.ranks.tolist(), tied.mean_ap) == ([2], 0.5)
    assert tied.ndcg_10 == pytest.approx((1 + 1 / math.log2(3)) / 2)


@pytest.mark.parametrize("answers", [ids(4, 5, 6, -1), ids(0, -1), ids(0), ids()])
def test_queries_without_a_relevant_photo_are_left_out(answers: np.ndarray) -> None:
    rows, share = np.eye(4, dtype=np.float32), float(0 in answers)
    found = metrics.retrieval(rows, rows[: len(answers)], ids(0, 1, 2, -1), answers)
    assert found.ranks.tolist() == [share, 0, 0, 0]
    assert found == metrics.Retrieval(share, share, share, share, int(share), len(answers), found.ranks)


@pytest.mark.parametrize("size", [1, 130, 777])
def test_recall_is_that_of_the_gates_and_blocks_change_nothing(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    query, gallery = random_rows(50, 6), random_rows(60, 6, seed=1)
    asked, answers, codes = np.arange(50) % 30, np.arange(60) % 25, (np.arange(60) % 4).astype(np.int32)

    def figures() -> list[float | None]:
        found = metrics.retrieval(query, gallery, asked, answers)
        interval = metrics.bootstrap_mean_difference([query[:, 0]], [query[:, 1]], resamples=300)
        accuracy = metrics.knn_accuracy(gallery, codes, 5, groups=answers)
        return [found.recall_1, found.recall_10, found.queries, found.ndcg_10, found.mean_ap, accuracy, *interval]

    whole = figures()
    expected = recall(query, gallery, asked.tolist(), answers.tolist(), exclude_self=False)
    assert whole[:3] == [expected.at[1], expected.at[10], expected.queries]
    monkeypatch.setattr("edgekit.metrics.retrieval._BLOCK", size)
    assert figures() == pytest.approx(whole, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 20), st.integers(0, 2**32 - 1))
def test_perfect_embeddings_score_one(listings: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    places, answers = np.eye(listings, dtype=np.float32), random.permutation(2 * listings) % listings
    gallery = places[answers] * random.uniform(0.01, 100, (2 * listings, 1)).astype(np.float32)
    found = metrics.retrieval(places, gallery, np.arange(listings), answers)
    assert (found.recall_1, found.recall_10, found.ndcg_10, found.mean_ap) == pytest.approx((1.0, 1.0, 1.0, 1.0))


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 30), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_the_order_of_the_gallery_does_not_matter(rows: int, listings: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    query, gallery = random.normal(size=(2, rows, 16)).astype(np.float32)
    asked, answers = random.integers(0, listings, (2, rows))
    orders = (np.arange(rows), random.permutation(rows))
    one, other = (metrics.retrieval(query, gallery[order], asked, answers[order]) for order in orders)
    assert one.ranks.tolist() == other.ranks.tolist()
    assert (one.ndcg_10, one.mean_ap) == pytest.approx((other.ndcg_10, other.mean_ap))


@pytest.mark.parametrize("row", [0.0, 1.0, 1e-25])
def test_embeddings_that_are_all_alike_find_nothing(row: float) -> None:
    same = np.full((200, 8), row, np.float32)
    found = metrics.retrieval(same, same, np.arange(200), np.arange(200))
    assert (found.recall_1, found.recall_10, found.mean_ap) == pytest.approx((0.0, 0.0, 1 / 200))
    assert found.ndcg_10 == pytest.approx(np.mean([1 / math.log2(1 + r) if r <= 10 else 0 for r in range(1, 201)]))
    assert metrics.knn_accuracy(same, np.repeat(np.arange(4, dtype=np.int32), 50), 5) == pytest.approx(0.25, abs=0.05)


def test_embeddings_that_are_not_finite_are_refused() -> None:
    broken = random_rows(6, 4)
    broken[2, 1], broken[5, 0] = np.nan, np.inf
    with pytest.raises(ModelError, match="2 of 12 embeddings are not finite"):
        metrics.retrieval(random_rows(6, 4), broken, np.arange(6), np.arange(6))
    with pytest.raises(ModelError, match="1 of 5 embeddings"):
        metrics.knn_accuracy(broken, np.array([0, 1, -1, 0, 1, 1], np.int32), 1)


def test_knn_by_hand() -> None:
    rows, codes = at_cosines(1.0, 0.99, 0.98, 0.3, 0.2, 0.0), np.array([0, 0, 1, 1, 1, -1], np.int32)
    assert metrics.knn_accuracy(rows, codes, 1) == pytest.approx(3 / 5)  # 8.1 degrees lie nearer to 11.5 than to 0
    assert metrics.knn_accuracy(rows, codes, 50) == pytest.approx(2 / 5)  # all vote: a 1 has two votes for each class


@pytest.mark.parametrize("k", [1, 3, 4, 40])
def test_knn_is_what_loops_find_also_where_votes_are_tied(k: int) -> None:
    rows, codes = random_rows(40, 3), np.random.default_rng(1).integers(0, 4, 40).astype(np.int32)
    groups = np.where(np.arange(40) < 6, -1, np.arange(40) // 3)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    right, tied = 0, 0
    for i in range(40):
        others = np.flatnonzero((groups != groups[i]) if groups[i] >= 0 else (np.arange(40) != i))
        near = codes[others[np.argsort(-unit[others] @ unit[i])][:k]].tolist()
        best = [code for code in near if near.count(code) == max(map(near.count, near))]
        right += best[0] == codes[i]
        tied += len(set(best)) > 1
    assert metrics.knn_accuracy(rows, codes, k, groups=groups) == pytest.approx(right / 40)
    assert tied > 0 or k in (1, 40)


def test_photos_of_the_own_listing_do_not_vote() -> None:
    listings = np.repeat(np.arange(40), 2)
    rows = random_rows(40, 32)[listings] + 0.01 * random_rows(80, 32, seed=1)
    codes = np.random.default_rng(2).integers(0, 4, 40)[listings].astype(np.int32)
    assert metrics.knn_accuracy(rows, codes, 1) == 1.0
    found = metrics.knn_accuracy(rows, codes, 1, groups=listings)
    assert found is not None and found < 0.6


def test_figures_that_do_not_exist_are_none() -> None:
    rows = random_rows(4, 4)
    assert metrics.knn_accuracy(rows, np.array([0, 0, -1, 0], np.int32), 1) is None
    assert metrics.knn_accuracy(rows[:0], np.zeros(0, np.int32), 1) is None
    assert metrics.knn_accuracy(rows, np.array([0, 1, 0, 1], np.int32), 1, groups=ids(5, 5, 5, 5)) is None
    assert (metrics.retention(0.6, 0.8), metrics.retention(0.6, 0.0)) == (pytest.approx(0.75), None)


def test_the_interval_holds_the_true_difference_and_shrinks() -> None:
    inside, widths = 0, []
    for queries in (50, 200, 3200):
        for seed in range(30):
            draws = np.random.default_rng([queries, seed]).random(queries)
            _, low, high = metrics.bootstrap_mean_difference([draws < 0.5], [draws < 0.6], resamples=500)
            inside += low <= 0.1 <= high
            widths.append(high - low)
    assert 0.85 <= inside / 90 <= 1.0
    wide, middle, narrow = np.mean(np.reshape(widths, (3, 30)), axis=1)
    assert (wide / middle, middle / narrow) == pytest.approx((2, 4), rel=0.15)


def test_the_interval_is_that_of_resampled_pairs_and_the_seed_decides() -> None:
    left, right = random_rows(2, 80) + np.array([[0.0], [0.3]])
    drawn = np.random.default_rng(0).integers(0, 80, (4000, 80))
    means = right[drawn].mean(axis=1) - left[drawn].mean(axis=1)
    found = metrics.bootstrap_mean_difference([left], [right], resamples=4000)
    assert found[0] == pytest.approx(right.mean() - left.mean())
    np.testing.assert_allclose(found[1:], np.percentile(means, [2.5, 97.5]), atol=0.03)
    assert metrics.bootstrap_mean_difference([left], [right], resamples=4000) == found
    assert metrics.bootstrap_mean_difference([left], [right], resamples=4000, seed=4)[1:] != found[1:]
    assert metrics.bootstrap_mean_difference([left], [left]) == (0.0, 0.0, 0.0)


def test_tasks_weigh_the_same_and_must_be_pairs() -> None:
    lefts, rights = [np.zeros(10), np.zeros(1000)], [np.ones(10), np.zeros(1000)]
    assert metrics.bootstrap_mean_difference(lefts, rights) == (0.5, 0.5, 0.5)
    draws = random_rows(8, 400)
    one, four = (metrics.bootstrap_mean_difference([*draws[:n]], [*draws[4 : 4 + n]]) for n in (1, 4))
    assert (one[2] - one[1]) / (four[2] - four[1]) == pytest.approx(2, rel=0.15)
    for lefts, rights in (([], []), ([np.ones(2)], []), ([np.ones(2)], [np.ones(3)]), ([np.ones(0)], [np.ones(0)])):
        with pytest.raises(ValueError, match="on the left"):
            metrics.bootstrap_mean_difference(lefts, rights)


def test_without_scikit_learn_the_install_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edgekit\[distill\]'"):
        metrics.retrieval(random_rows(3, 2), random_rows(3, 2), np.arange(3), np.arange(3))
