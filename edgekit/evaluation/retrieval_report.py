"""What an evaluation of retrieval found: the content of its JSON."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from edgekit.support.documents import Document, Part

__all__ = [
    "ALPHA",
    "SCHEMA",
    "Arrangement",
    "Change",
    "Figure",
    "FoundItem",
    "RetrievalReport",
    "Segment",
    "WorstQuery",
]

SCHEMA: Final = "edgekit.retrieval/1"
ALPHA: Final = 0.05  # the p-value up to which a segment counts as served worse


class Figure(Part):
    """A mean over queries, with the 95 % interval of a bootstrap over their listings."""

    value: float
    low: float
    high: float


class Change(Figure):
    """A mean paired difference over queries; above 0 is better than the base."""

    p: float = Field(description="Two-sided, of the randomization test; not corrected for the number of figures.")


class Arrangement(Part):
    """One way to search: whose queries, whose gallery, and how that is kept."""

    name: str
    queries: str = Field(description="Model that embedded the queries.")
    gallery: str = Field(description="Model that embedded the gallery.")
    form: str = Field(description="How the gallery is kept: plain, truncate=N, int8, pq=N.")
    gallery_bytes: int = Field(ge=0)
    figures: dict[str, Figure] = Field(description="By the name of the figure: recall@10, ndcg@10, ...")
    change: dict[str, Change] | None = Field(description="Against the base; null for the base itself.")


class Segment(Part):
    """The queries with one text in a column, as one arrangement serves them."""

    arrangement: str
    column: str
    segment: str
    queries: int = Field(ge=1)
    figure: float = Field(description="Mean of the report's metric.")
    gap: float = Field(description="How far it is below the average of all queries.")
    gap_low: float | None
    gap_high: float | None
    p: float = Field(description="One-sided, corrected for the number of segments of the column.")
    worse: bool = Field(description="Served significantly worse than average: p is at most 0.05.")
    widened: float | None = Field(description="By how much the gap is wider than in the base; null for the base.")
    widened_low: float | None
    widened_high: float | None
    widened_p: float | None = Field(description="One-sided, corrected likewise.")


class FoundItem(Part):
    """One place of a list."""

    id: str
    score: float
    relevance: float


class WorstQuery(Part):
    """A query with one of the lowest figures, and what it found."""

    id: str
    figure: float
    first: int = Field(ge=0, description="Place of the first relevant item; 0: not among those that were listed.")
    relevant: int = Field(ge=1, description="Relevant items in the gallery.")
    columns: dict[str, str]
    found: list[FoundItem]


class RetrievalReport(Document):
    """Figures of one task, of each arrangement. Segments and worst queries are by `metric`."""

    schema_: Literal["edgekit.retrieval/1"] = Field(SCHEMA, alias="schema")
    task: str
    metric: str
    base: str = Field(description="The arrangement that the others are compared with.")
    queries: int = Field(ge=1, description="Queries that were judged.")
    left_out: int = Field(ge=0, description="Queries without a relevant item in the gallery, which are not judged.")
    units: int = Field(ge=1, description="Listings of the judged queries, which intervals and tests draw as a whole.")
    gallery: int = Field(ge=1, description="Rows that are searched.")
    correction: str = Field(description="Of p-values of segments: holm or fdr_bh.")
    resamples: int = Field(description="Of bootstrap and randomization.")
    notes: list[str]
    arrangements: list[Arrangement]
    segments: list[Segment]
    worst: list[WorstQuery] = Field(description="Of the last arrangement.")
