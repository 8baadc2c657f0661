"""Tasks: which rows ask, which are searched, and what a file lacks is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import InputError, UsageError
from edgekit.evaluation.pairs import Pairs
from edgekit.evaluation.tasks import TASKS, Side, Task, questions, task_named

COLUMNS = {
    "label": ["shoe", "shoe", "mug", "mug"],
    "style": ["seller", "review", "seller", "review"],
    "category": ["shoes", "shoes", "kitchen", "kitchen"],
    "fine_category": ["boot", "boot", "mug", "mug"],
    "color": ["red", "blue", "red", "red"],
    "promoted": ["yes", "no", "yes", "yes"],
}
FILE = Side("photos.parquet", ["0", "1", "2", "3"], COLUMNS)


def gains(key: str, queries: Side = FILE, gallery: Side = FILE) -> tuple[list[int], list[int], list[list[float]]]:
    asked = questions(task_named(key), queries, gallery)
    every = np.tile(np.arange(len(asked.gallery)), (len(asked.queries), 1))
    return asked.queries.tolist(), asked.gallery.tolist(), asked.relevance.gains(every).tolist()


def test_each_task() -> None:
    rows = [0, 1, 2, 3]
    assert gains("similar") == (rows, rows, [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    assert gains("buyer-to-seller") == ([1, 3], [0, 2], [[1, 0], [0, 1]])
    assert gains("ads") == (rows, [0, 2, 3], [[0, 0, 0], [1, 0, 0], [0, 0, 2], [0, 2, 0]])
    assert gains("visual-search") == (rows, rows, [[0, 3, 0, 0], [3, 0, 0, 0], [0, 0, 0, 3], [0, 0, 3, 0]])


def test_two_files() -> None:
    gallery = Side("gallery.parquet", ["9", "0"], {"label": ["shoe", "shoe"]})
    assert gains("similar", gallery=gallery)[2] == [[1, 0], [1, 1], [0, 0], [0, 0]]


def test_pairs_ask_in_place_of_the_task() -> None:
    pairs = Pairs(Path("own.csv"), ["3", "1", "3"], ["0", "0", "2"], np.array([1.0, 2.0, 3.0]))
    asked = questions(TASKS[0], FILE, FILE, pairs)
    assert asked.queries.tolist() == [1, 3]
    assert asked.relevance.gains(np.tile(np.arange(4), (2, 1))).tolist() == [[2, 0, 0, 0], [1, 0, 3, 0]]


@pytest.mark.parametrize("key", [task.key for task in TASKS])
def test_a_column_that_is_missing_is_named(key: str) -> None:
    with pytest.raises(InputError, match=r"bare.parquet: has no column \w+, which the task .* \(its columns: colour\)"):
        questions(task_named(key), Side("bare.parquet", ["0"], {"colour": ["red"]}), FILE)


def test_a_task_for_which_no_row_asks() -> None:
    sellers = Side("sellers.parquet", ["0"], {"label": ["shoe"], "style": ["seller"]})
    with pytest.raises(InputError, match="no row has 'review' in the column style"):
        questions(task_named("buyer-to-seller"), sellers, FILE)


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UsageError, match="similar, buyer-to-seller, ads, visual-search"):
        task_named("nosuch")


def test_a_task_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Task("colour", "Find what has the same colour.", "color")
    monkeypatch.setattr("edgekit.evaluation.tasks.TASKS", [*TASKS, row])
    assert gains("colour")[2][0] == [0, 0, 1, 1]
