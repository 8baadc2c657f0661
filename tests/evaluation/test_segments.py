"""Segments: rows without a text are one of their own, and a column that is no segment is refused."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.errors import InputError
from edgekit.evaluation.retrieval import RetrievalRequest
from edgekit.evaluation.segments import segments_of, texts_of
from edgekit.evaluation.tasks import Side

SIDE = Side("photos.parquet", ["0", "1", "2"], {"light": ["day", "", "day"]})


def test_texts_of_some_rows() -> None:
    assert texts_of(SIDE, np.array([1, 2]), ["light", "light"]) == {"light": ["(none)", "day"]}
    with pytest.raises(InputError, match=r"photos.parquet: has no column dark \(its columns: light\)"):
        texts_of(SIDE, np.array([0]), ["dark"])


def test_a_column_with_too_many_texts() -> None:
    ids = [str(number) for number in range(1001)]
    with pytest.raises(InputError, match="1001 different texts"):
        texts_of(Side("photos.parquet", ids, {"light": ids}), np.arange(1001), ["light"])


def test_a_segment_of_one_query_has_no_interval() -> None:
    sampling = RetrievalRequest("photos.parquet", resamples=99)
    texts = {"light": ["dim", "day", "day", "day"]}
    rows = segments_of("plain", np.array([0.0, 1, 1, 1]), None, np.arange(4), texts, sampling)
    assert [(row.segment, row.queries, row.figure, row.widened) for row in rows] == [
        ("day", 3, 1.0, None),
        ("dim", 1, 0.0, None),
    ]
    assert rows[1].gap_low is rows[1].gap_high is None
    assert not rows[1].worse
