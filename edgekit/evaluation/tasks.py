"""Retrieval tasks: who asks, what is searched, and what is relevant. A task is a row of `TASKS`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.errors import InputError, UsageError
from edgekit.evaluation.pairs import Pairs
from edgekit.evaluation.relevance import ByColumns, ByPairs, Relevance
from edgekit.support.text import shown

__all__ = ["TASKS", "Questions", "Side", "Task", "questions", "task_named"]


@dataclass(frozen=True)
class Side:
    """The ids and columns of a file of embeddings, which errors call `name`."""

    name: str
    ids: Sequence[str]
    columns: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Task:
    """Queries are rows whose column is as `asks` says, the gallery rows as `searched` says; None: all rows.

    Relevant is a row of the gallery with the query's text in the column `must`; agreement in those of `also` makes it
    more relevant, as far as both files have them. A query itself is never searched.
    """

    key: str
    help: str
    must: str
    also: tuple[str, ...] = ()
    asks: tuple[str, str] | None = None
    searched: tuple[str, str] | None = None


@dataclass(frozen=True, eq=False)
class Questions:
    """Rows int64 of the file of queries that ask and of the gallery's that are searched, and what is relevant.

    `own` int64 [Q] is the place of each query among the searched rows, -1 where it is not there.
    """

    queries: np.ndarray
    gallery: np.ndarray
    own: np.ndarray
    relevance: Relevance


TASKS = [
    Task("similar", "Find the other photos of the listing (equal `label`).", "label"),
    Task(
        "buyer-to-seller",
        "Find a seller's photos of the listing by a buyer's photo (`style`: review or seller).",
        "label",
        asks=("style", "review"),
        searched=("style", "seller"),
    ),
    Task(
        "ads",
        "Find promoted listings (`promoted`: yes) of the same `fine_category`; equal attributes count more.",
        "fine_category",
        also=("color", "material", "pattern"),
        searched=("promoted", "yes"),
    ),
    Task(
        "visual-search",
        "Find photos of the same `category`; the same fine category, and the same listing, count more.",
        "category",
        also=("fine_category", "label"),
    ),
]


def task_named(key: str) -> Task:
    """The task of that name.

    Raises:
        UsageError: there is none.
    """
    for row in TASKS:
        if row.key == key:
            return row
    raise UsageError(f"`task` has no {key[:40]!r}; give one of {', '.join(row.key for row in TASKS)}", field="task")


def questions(task: Task, queries: Side, gallery: Side, pairs: Pairs | None = None) -> Questions:
    """What `task` asks of two files, which may be one and the same; `pairs` say what is relevant in its place.

    Raises:
        InputError: a column is missing, no row asks or is searched, or `pairs` name an id that is not there.
    """
    if pairs is not None:
        return _listed(queries, gallery, pairs)
    asking, searched = _chosen(task, queries, task.asks), _chosen(task, gallery, task.searched)
    for side in (queries, gallery):
        _require(task, side, task.must)
    own = _own(queries, gallery, asking, searched)
    also = [name for name in task.also if name in queries.columns and name in gallery.columns]
    names = (task.must, *also)
    sides = ((queries, asking), (gallery, searched))
    left, right = ({name: [side.columns[name][row] for row in rows] for name in names} for side, rows in sides)
    return Questions(asking, searched, own, ByColumns(left, right, task.must, also, own))


def _listed(queries: Side, gallery: Side, pairs: Pairs) -> Questions:
    """Every query that the pairs name, in the order of the file, and the whole gallery."""
    rows = pairs.rows(queries.name, queries.ids, gallery.name, gallery.ids)
    asking, query = np.unique(rows.query, return_inverse=True)
    searched = np.arange(len(gallery.ids))
    own = _own(queries, gallery, asking, searched)
    return Questions(asking, searched, own, ByPairs(query, rows.row, rows.gain, own, len(searched)))


def _chosen(task: Task, side: Side, where: tuple[str, str] | None) -> np.ndarray:
    if where is None:
        return np.arange(len(side.ids))
    column, value = where
    _require(task, side, column)
    rows = np.flatnonzero(np.array([text == value for text in side.columns[column]]))
    if not len(rows):
        raise InputError(
            f"{side.name}: no row has {value!r} in the column {column}, which the task {task.key} needs; write it "
            "there, or choose another `task`",
            field="task",
        )
    return rows


def _require(task: Task, side: Side, column: str) -> None:
    if column not in side.columns:
        there = ", ".join(shown(name, 40) for name in list(side.columns)[:8]) or "none"
        raise InputError(
            f"{side.name}: has no column {column}, which the task {task.key} needs (its columns: {there}); add it, or "
            "choose another `task`",
            field="task",
        )


def _own(queries: Side, gallery: Side, asking: np.ndarray, searched: np.ndarray) -> np.ndarray:
    places = {gallery.ids[row]: place for place, row in enumerate(searched)}
    return np.array([places.get(queries.ids[row], -1) for row in asking], np.int64)
