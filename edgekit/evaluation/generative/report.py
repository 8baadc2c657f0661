"""What an evaluation with generated queries found: the content of its JSON."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from edgekit.evaluation.retrieval_report import Change, Figure, FoundItem
from edgekit.support.documents import Document, Part

__all__ = [
    "SCHEMA",
    "Agreement",
    "Example",
    "GenerativeReport",
    "Language",
    "LanguageGap",
    "Ranked",
    "Reviewed",
    "Unread",
]

SCHEMA: Final = "edgekit.generative/1"


class Language(Part):
    """How many texts were asked in a language, and how many of them the generator understood."""

    language: str
    queries: int = Field(ge=1)
    understood: int = Field(ge=0)


class Unread(Part):
    """A text that the generator did not understand; it has no picture and is not judged."""

    id: str
    language: str
    text: str


class LanguageGap(Figure):
    """How far the figure of the worst language is below that of the best."""

    best: str
    worst: str
    p: float = Field(description="How often languages that are all served alike lie as far apart, by permutation.")


class Ranked(Part):
    """One model: what it finds by generated pictures, in all and by language, and by real photos."""

    name: str
    sha256: str
    kind: str
    runtime: str
    figures: dict[str, Figure] = Field(description="Over all queries, by the name of the figure: recall@10, mrr@10.")
    languages: dict[str, Figure] = Field(description="The report's metric by language.")
    gap: LanguageGap | None = Field(description="Null where one language alone was asked.")
    change: dict[str, Change] | None = Field(
        description="Against the first model, by language and in `all`; null for the first itself."
    )
    real: Figure | None = Field(description="The metric with photos of the gallery as queries for other photos.")


class Agreement(Part):
    """Spearman's correlation over models of the generated ranking with the real one."""

    models: int = Field(ge=3)
    rho: float
    low: float = Field(description="Of the 95 % interval; queries and photos are drawn again, models are not.")
    high: float


class Reviewed(Part):
    """The check list that people filled in."""

    rows: int = Field(ge=0, description="Of the list.")
    judged: int = Field(ge=0, description="Rows with a human verdict that belong to what was found now.")
    stale: int = Field(ge=0, description="Rows with a verdict on other pictures or other found items, not counted.")
    agreed: float | None = Field(description="Share of the judged rows where both verdicts are the same.")
    kappa: float | None = Field(description="Cohen's; null where no row is judged, or all verdicts are equal.")


class Example(Part):
    """A query, its picture, and what the first model found with it."""

    id: str
    language: str
    text: str
    picture: str = Field(description="The file's path among the generated pictures.")
    chosen: list[str]
    right: bool = Field(description="Whether a chosen item is among those listed.")
    found: list[FoundItem]


class GenerativeReport(Document):
    """Figures of generated pictures as queries. Languages, gaps and the ranking are by `metric`."""

    schema_: Literal["edgekit.generative/1"] = Field(SCHEMA, alias="schema")
    metric: str
    generator: str
    source: str = Field(description="Where the texts and the chosen items come from.")
    gallery_name: str
    gallery: int = Field(ge=1, description="Photos that are searched.")
    queries: int = Field(ge=1, description="Texts that were asked.")
    judged: int = Field(ge=0, description="Texts that the generator understood.")
    units: int = Field(ge=0, description="Chosen items, whose queries intervals draw as a whole.")
    resamples: int
    languages: list[Language]
    unread: list[Unread] = Field(description="Texts that were not understood, at most 100.")
    models: list[Ranked]
    agreement: Agreement | None = Field(description="Null for fewer than three models, or without real photos.")
    review: Reviewed | None
    examples: list[Example]
    notes: list[str]
