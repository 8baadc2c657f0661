"""What is relevant: counted and graded as the definition says, pair by pair."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgekit.evaluation.relevance import ByColumns, ByPairs

TEXTS = st.sampled_from(["", "a", "b", "c"])


def best(grades: np.ndarray, most: int) -> list[float]:
    return ([*-np.sort(-grades), *[0.0] * most])[:most]


@given(st.data(), st.integers(1, 6), st.integers(1, 12), st.integers(0, 2))
def test_columns_by_the_definition(data: st.DataObject, queries: int, rows: int, attributes: int) -> None:
    also = [f"attribute {number}" for number in range(attributes)]
    names = ["must", *also]
    left = {name: data.draw(st.lists(TEXTS, min_size=queries, max_size=queries)) for name in names}
    right = {name: data.draw(st.lists(TEXTS, min_size=rows, max_size=rows)) for name in names}
    own = np.array(data.draw(st.lists(st.integers(-1, rows - 1), min_size=queries, max_size=queries)))
    relevance = ByColumns(left, right, "must", also, own)
    wanted = np.zeros((queries, rows))
    for query in range(queries):
        for row in range(rows):
            if row != own[query] and left["must"][query] == right["must"][row] != "":
                wanted[query, row] = 1 + sum(left[name][query] == right[name][row] != "" for name in also)
    every = np.tile(np.arange(rows), (queries, 1))
    assert (relevance.gains(every) == wanted).all()
    assert (relevance.gains(np.full((queries, 2), -1)) == 0).all()
    assert relevance.relevant().tolist() == (wanted > 0).sum(axis=1).tolist()
    assert relevance.ideal(5).tolist() == [best(row, 5) for row in wanted]


@given(st.data(), st.integers(1, 5), st.integers(1, 8))
def test_pairs_by_the_definition(data: st.DataObject, queries: int, rows: int) -> None:
    wanted = np.array(
        data.draw(st.lists(st.lists(st.sampled_from([0, 0, 1, 2.5]), min_size=rows, max_size=rows), min_size=queries,
                           max_size=queries))
    )  # fmt: skip
    query, row = np.nonzero(np.ones_like(wanted))
    own = np.array(data.draw(st.lists(st.integers(-1, rows - 1), min_size=queries, max_size=queries)))
    shuffled = np.array(data.draw(st.permutations(range(len(query)))))
    relevance = ByPairs(query[shuffled], row[shuffled], wanted[query, row][shuffled], own, rows)
    wanted[np.flatnonzero(own >= 0), own[own >= 0]] = 0
    every = np.tile(np.arange(-1, rows), (queries, 1))
    assert (relevance.gains(every) == np.pad(wanted, ((0, 0), (1, 0)))).all()
    assert relevance.relevant().tolist() == (wanted > 0).sum(axis=1).tolist()
    assert relevance.ideal(4).tolist() == [best(each, 4) for each in wanted]
