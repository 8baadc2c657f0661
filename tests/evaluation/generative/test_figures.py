"""Recall of what people chose, gaps between languages, and how rankings agree."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edgekit.evaluation.galleries import plain_gallery
from edgekit.evaluation.generative.figures import agreement, figure_of, gap_of, judge_chosen, metrics


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def nothing(_done: int, _total: int, _text: str = "", /) -> None:
    pass


def test_an_item_is_found_where_its_first_photo_is() -> None:
    gallery = plain_gallery(np.eye(6, dtype=np.float32))
    asked = np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [0.4, 0.5, 0.6, 0.7, 0.8, 0.9]], np.float32)
    chosen = [[rows(2, 4)], [rows(5), rows(0, 1)]]
    judged = judge_chosen(asked, gallery, chosen, [1, 3, 5], nothing)
    assert metrics([1, 3, 5]) == ["recall@1", "recall@3", "recall@5", "mrr@5"]
    assert judged.values.tolist() == [[0, 1, 1, 1 / 3], [0.5, 0.5, 1, 1]]


def test_a_tie_counts_against_the_query_and_a_short_gallery_is_searched_whole() -> None:
    gallery = plain_gallery(np.ones((3, 4), np.float32))
    judged = judge_chosen(np.ones((1, 4), np.float32), gallery, [[rows(0)]], [1, 10], nothing)
    assert judged.values.tolist() == [[0, 1, 1 / 3]]


def test_the_gap_is_between_the_best_and_the_worst_language() -> None:
    rng = np.random.default_rng(5)
    units = np.repeat(np.arange(100), 3)
    languages = np.tile(["en", "de", "ja"], 100)
    chance = np.where(languages == "ja", 0.3, 0.8)
    values = (rng.random(300) < chance).astype(np.float64)
    gap = gap_of(values, languages, units, 499, 0)
    assert gap is not None
    assert gap.worst == "ja"
    assert gap.low <= gap.value <= gap.high
    assert gap.low > 0.2
    assert gap.p == 1 / 500
    assert gap.value == pytest.approx(values[languages == gap.best].mean() - values[languages == "ja"].mean())
    assert gap_of(values, np.repeat("en", 300), units, 99, 0) is None


def test_languages_of_one_figure_are_two_languages_without_a_gap() -> None:
    gap = gap_of(np.ones(6), np.tile(["en", "de", "ja"], 2), np.repeat([0, 1], 3), 99, 0)
    assert gap is not None
    assert (gap.value, gap.low, gap.high, gap.p) == (0, 0, 0, 1)
    assert gap.best != gap.worst


@pytest.mark.parametrize("shared", [True, False])
def test_languages_that_are_served_alike_seldom_show_a_gap(shared: bool) -> None:
    """p is at most 0.1 in about a tenth of 200 tables, whether or not a listing is asked in each language."""
    rng = np.random.default_rng(1)
    languages = np.tile(["en", "de", "fr", "ja"], 15)
    units = np.repeat(np.arange(15), 4) if shared else np.arange(60)
    hard = np.repeat(rng.random(15), 4)
    p = []
    for _ in range(200):
        gap = gap_of((rng.random(60) < hard).astype(np.float64), languages, units, 99, 0)
        assert gap is not None
        p.append(gap.p)
    assert np.mean(np.array(p) <= 0.1) < 0.16


def test_agreement_is_spearmans() -> None:
    rng = np.random.default_rng(2)
    generated = rng.random((50, 5)) + np.array([0, 0.4, 0.1, 0.6, 0.3])
    real = rng.random((80, 5)) + np.array([0, 0.5, 0.2, 0.4, 0.3])
    found = agreement(generated, np.arange(50), real, np.arange(80), 199, 0)
    assert found is not None
    assert found.rho == pytest.approx(stats.spearmanr(generated.mean(axis=0), real.mean(axis=0)).statistic)
    assert -1 <= found.low <= found.rho <= found.high <= 1
    assert agreement(generated[:, :2], np.arange(50), real[:, :2], np.arange(80), 99, 0) is None
    assert agreement(generated, np.arange(50), np.ones((80, 5)), np.arange(80), 99, 0) is None


def test_a_figure_has_its_mean_and_an_interval_over_units() -> None:
    values = np.repeat([0.0, 1.0], 10)
    alone, whole = (figure_of(values, units, 999, 0) for units in (np.arange(20), np.repeat(np.arange(4), 5)))
    assert alone.value == whole.value == 0.5
    assert whole.high - whole.low > alone.high - alone.low
