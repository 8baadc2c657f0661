"""One search, judged: what was found, how relevant it is, and the figures of each query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekit.evaluation.galleries import Gallery
from edgekit.evaluation.search import Found, search
from edgekit.evaluation.tasks import Questions
from edgekit.metrics.ranking import figures, places
from edgekit.support.progress import Tick

__all__ = ["Judged", "judge"]


@dataclass(frozen=True, eq=False)
class Judged:
    """What a search found for Q queries: the gains and the places [Q,L] of its lists, and the figures [Q,M]."""

    found: Found
    gains: np.ndarray
    place: np.ndarray
    values: np.ndarray


def judge(
    asked: np.ndarray, kept: Gallery, questions: Questions, queries: np.ndarray, at: list[int], tick: Tick
) -> Judged:
    """Search and judge some of the questions.

    Args:
        asked: embeddings [Q,D] of the queries.
        kept: the searched rows of the questions.
        questions: which of those is relevant to whom.
        queries: places int64 [Q] of the queries in `questions`, each with a relevant row.
        at: the cut-offs k, whose figures `metric_names` names.
        tick: is told how far the search is.
    """
    found = search(asked, kept, max(at), questions.own[queries], tick)
    listed = np.full((len(questions.queries), found.rows.shape[1]), -1, np.int64)
    listed[queries] = found.rows
    relevance = questions.relevance
    gains = relevance.gains(listed)[queries]
    place = places(found.scores, gains, found.bound)
    values = figures(place, gains, relevance.relevant()[queries], relevance.ideal(max(at))[queries], at)
    return Judged(found, gains, place, values)
