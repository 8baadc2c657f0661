"""Forms of a gallery: each beside what numpy and faiss make of it, and what it refuses."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.evaluation.galleries import FORMS, Form, gallery_of, int8_gallery, plain_gallery, unit
from edgekit.metrics.retrieval import unit_rows


def rows(count: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)


def test_unit_rows_are_not_copied_and_others_are_scaled() -> None:
    long = rows(7, 16) * 9
    assert unit(long) == pytest.approx(unit_rows(long), abs=1e-6)
    short = unit(long)
    assert np.shares_memory(unit(short), short)
    assert not unit(np.zeros((2, 3))).any()


def test_plain_and_truncated() -> None:
    values = rows(10, 8)
    plain, cut = gallery_of("plain", values), gallery_of("truncate=3", values)
    assert (plain.rows, plain.dim, plain.size) == (10, 8, 320)
    assert (cut.rows, cut.dim, cut.size) == (10, 3, 120)
    assert plain.block(2, 5) == pytest.approx(unit_rows(values[2:5]), abs=1e-6)
    assert cut.block(2, 5) == pytest.approx(unit_rows(values[2:5, :3]), abs=1e-6)
    assert cut.query(values) == pytest.approx(unit_rows(values[:, :3]), abs=1e-6)


def test_int8_codes_are_the_nearest() -> None:
    values = rows(300, 12)
    kept = gallery_of("int8", values)
    assert kept.size == values.size
    assert np.abs(kept.block(0, 300) - unit_rows(values)).max() <= 0.5 / 127 + 1e-6
    codes = np.array([[127, -127], [1, 0]], np.int8)
    assert int8_gallery(codes, 0.5).block(0, 2).tolist() == [[63.5, -63.5], [0.5, 0.0]]


def test_product_quantization_scores_as_the_index_of_faiss() -> None:
    values = unit_rows(rows(600, 16))
    kept = gallery_of("pq=4", values)
    index = faiss.IndexPQ(16, 4, 8, faiss.METRIC_INNER_PRODUCT)
    index.train(values)
    index.add(values)
    scores, found = index.search(values[:5], 600)
    own = values[:5] @ kept.block(0, 600).T
    assert np.corrcoef(own.ravel(), np.take_along_axis(scores, np.argsort(found), axis=1).ravel())[0, 1] > 0.98
    assert kept.size == 600 * 4 + 4 * 16 * 256
    error = np.linalg.norm(kept.block(0, 600) - values, axis=1).mean()
    assert error < np.linalg.norm(gallery_of("pq=2", values).block(0, 600) - values, axis=1).mean()
    assert (kept.block(0, 600) == gallery_of("pq=4", values).block(0, 600)).all()


def test_product_quantization_of_few_rows() -> None:
    values = unit_rows(rows(5, 4))
    assert gallery_of("pq=2", values).block(0, 5).shape == (5, 4)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("zip", "plain, truncate=N, int8, pq=N"),
        ("truncate", "truncate=N"),
        ("int8=4", "write int8"),
        ("truncate=0", "1 to 8"),
        ("truncate=9", "1 to 8"),
        ("pq=3", "1, 2, 4, 8"),
        ("pq=-1", "pq=N"),
    ],
)
def test_a_form_that_cannot_be_is_refused(form: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        gallery_of(form, rows(10, 8))
    assert caught.value.field == "forms"


def test_a_gallery_of_one_row_has_no_centroids() -> None:
    with pytest.raises(UsageError, match="2 rows"):
        gallery_of("pq=2", rows(1, 4))


def test_a_form_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    signs = Form("signs", "", "The sign of each value.", lambda values, _: plain_gallery(np.sign(values)))
    monkeypatch.setattr("edgekit.evaluation.galleries.FORMS", [*FORMS, signs])
    assert np.unique(np.abs(gallery_of("signs", rows(4, 4)).block(0, 4))) == pytest.approx([0.5])
