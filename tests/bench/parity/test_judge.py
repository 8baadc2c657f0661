"""What is said of rows that came back wrong: another order, another model, too few, mixed up on the way."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.bench.parity.judge import why_rows_differ
from edgekit.parity.check import Reference

LEAST = 0.99


def reference(count: int, dim: int = 16, seed: int = 0) -> Reference:
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Reference([f"{index}.jpg" for index in range(count)], [None] * count, rows)


@pytest.mark.parametrize("count", [2, 7, 600])
def test_rows_in_another_order_are_found(count: int) -> None:
    due = reference(count)
    rows = np.roll(due.embeddings, 1, axis=0)
    said = why_rows_differ(rows, due, LEAST)
    assert said == (f"the rows are in another order: {count} of {count} moved, that of 0.jpg is {count - 1}.jpg's")


def test_two_rows_that_changed_places_are_told() -> None:
    due = reference(9)
    rows = due.embeddings[[0, 1, 2, 7, 4, 5, 6, 3, 8]]
    assert "2 of 9 moved, that of 3.jpg is 7.jpg's" in (why_rows_differ(rows, due, LEAST) or "")


def test_embeddings_of_another_model_are_told() -> None:
    due = reference(9, dim=64)
    assert "another model's" in (why_rows_differ(reference(9, dim=64, seed=1).embeddings, due, LEAST) or "")


def test_nothing_is_said_of_rows_that_say_nothing() -> None:
    due = reference(9)
    bent = due.embeddings.copy()
    bent[4] = -bent[4]
    assert why_rows_differ(bent, due, LEAST) is None
    bent[4] = np.nan
    assert why_rows_differ(bent, due, LEAST) is None
    bent[4] = 0
    assert why_rows_differ(bent, due, LEAST) is None
    assert why_rows_differ(due.embeddings[:1], reference(1), LEAST) is None
