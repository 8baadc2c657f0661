"""Figures of ranked lists against scikit-learn, published examples, and what must hold of any list."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from edgekit.metrics.ranking import figures, metric_names, places
from edgekit.metrics.retrieval import TIE

NOTHING_BEYOND = -np.inf


def judged(scores: np.ndarray, gains: np.ndarray, at: tuple[int, ...]) -> dict[str, float]:
    """The figures of one query whose list is the whole gallery."""
    order = np.argsort(-scores, kind="stable")
    listed, gain = scores[order][None], gains[order][None]
    place = places(listed, gain, np.array([NOTHING_BEYOND]))
    ideal = np.zeros((1, max(*at, len(gains))))
    ideal[0, : len(gains)] = np.sort(gains)[::-1]
    values = figures(place, gain, np.array([np.count_nonzero(gains)]), ideal, at)
    return dict(zip(metric_names(at), values[0], strict=True))


@given(st.integers(0, 2**32 - 1), st.integers(3, 40))
def test_as_scikit_learn_says(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    gains = rng.integers(0, 4, count)
    gains[rng.integers(count)] = 3
    scores = rng.permutation(count) / count
    at = (1, 3, count)
    found = judged(scores, gains, at)
    for k in at:
        assert found[f"ndcg@{k}"] == pytest.approx(ndcg_score(gains[None], scores[None], k=k))
    assert found[f"map@{count}"] == pytest.approx(average_precision_score(gains > 0, scores))
    assert found[f"recall@{count}"] == 1


def test_the_example_of_jarvelin_and_kekalainen() -> None:
    """Their list G' of 2002: cumulated and discounted with log2 from the second place on; here log2 of place + 1."""
    gains = np.array([3, 2, 3, 0, 0, 1, 2, 2, 3, 0])
    found = judged(-np.arange(10.0), gains, (5, 10))
    best = sorted(gains, reverse=True)
    for k in (5, 10):
        wanted, most = (sum(g / math.log2(n + 2) for n, g in enumerate(row[:k])) for row in (gains, best))
        assert found[f"ndcg@{k}"] == pytest.approx(wanted / most)
    assert found["recall@5"] == pytest.approx(3 / 7)
    assert found["precision@5"] == pytest.approx(3 / 5)
    assert found["mrr@10"] == 1
    assert found["map@10"] == pytest.approx((1 + 1 + 1 + 4 / 6 + 5 / 7 + 6 / 8 + 7 / 9) / 7)


def test_average_precision_of_the_textbook() -> None:
    """Manning, Raghavan and Schütze, 2008: relevant at places 1 and 3 of 5, three relevant in all."""
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5]])
    gains = np.array([[1, 0, 1, 0, 0]])
    place = places(scores, gains, np.array([0.1]))
    values = figures(place, gains, np.array([3]), np.array([[1, 1, 1, 0, 0.0]]), (5,))
    assert dict(zip(metric_names((5,)), values[0], strict=True))["map@5"] == pytest.approx((1 + 2 / 3) / 3)


def test_a_tie_counts_against_the_query() -> None:
    gains = np.array([1, 0, 0, 2])
    assert judged(np.zeros(4), gains, (1, 3))["recall@1"] == 0
    assert judged(np.zeros(4), gains, (1, 3))["mrr@3"] == pytest.approx(1 / 3)
    same = judged(np.array([0.5, 0.5 + 5e-7, 0.1, 0.1]), np.array([1, 0, 0, 0]), (1,))
    assert same == judged(np.array([0.5 + 5e-7, 0.5, 0.1, 0.1]), np.array([1, 0, 0, 0]), (1,))


def test_what_is_tied_with_an_item_beyond_the_list_is_not_found() -> None:
    scores, gains = np.array([[0.9, 0.5]]), np.array([[1, 1]])
    assert places(scores, gains, np.array([0.5])).tolist() == [[1, 0]]
    assert places(scores, gains, np.array([0.4])).tolist() == [[1, 2]]


@given(st.integers(0, 2**32 - 1))
def test_places_by_the_definition(seed: int) -> None:
    """Before an item stand: less relevant ones that are tied or better, more relevant ones that are better, and, of
    equal ones, those that are listed first."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 12))
    steps = np.cumsum(rng.choice([0, 0.4 * TIE, 1.5 * TIE, 0.1], count))  # chains of ties, too
    scores, gains = 0.9 - steps, rng.integers(0, 3, count)
    wanted = [0] * count
    for own in np.flatnonzero(gains):
        for other in range(count):
            tied = abs(scores[other] - scores[own]) <= TIE
            better = scores[other] > scores[own] + TIE
            first = {True: tied or better, False: better}[bool(gains[other] < gains[own])]
            wanted[own] += int(other < own if gains[other] == gains[own] else first)
        wanted[own] += 1
    assert places(scores[None], gains[None], np.array([NOTHING_BEYOND])).tolist() == [wanted]


@given(st.integers(0, 2**32 - 1))
def test_figures_lie_between_0_and_1_and_grow_with_k(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 20))
    gains = rng.integers(0, 3, count)
    gains[0] = 1
    found = judged(np.round(rng.random(count), 1), gains, (1, 2, count))
    assert all(0 <= value <= 1 + 1e-12 for value in found.values())
    assert found["recall@1"] <= found["recall@2"] <= found[f"recall@{count}"] == 1
    better = judged(gains.astype(float), gains, (1, 2, count))
    assert better["ndcg@2"] >= found["ndcg@2"] - 1e-12


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_gallery_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 20))
    scores, gains = np.round(rng.random(count), 1), rng.integers(0, 3, count)
    gains[0] = 2
    moved = rng.permutation(count)
    assert judged(scores, gains, (1, 5)) == pytest.approx(judged(scores[moved], gains[moved], (1, 5)))
