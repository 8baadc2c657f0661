"""What an evaluation of drift found: the content of its JSON."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from edgekit.errors import DriftError
from edgekit.support.documents import Document, Part
from edgekit.support.text import shown

__all__ = ["SCHEMA", "Check", "Churn", "DriftReport", "DriftedItem", "Norms"]

SCHEMA: Final = "edgekit.drift/1"


class Check(Part):
    """One test: of all rows (`column` null), of those with one text in a column, or (`segment` null) of the shares that
    the texts of a column have, by Pearson's chi-squared.
    """

    column: str | None
    segment: str | None
    share_reference: float = Field(description="Share of the file's rows.")
    share_current: float
    tested_reference: int = Field(ge=0, description="Rows that were drawn for the test, one of each listing.")
    tested_current: int = Field(ge=0)
    statistic: float | None = Field(description="Unbiased: about 0 without a change. Null: too few rows to test.")
    limit: float | None = Field(description="What a share `alpha` of tests exceeds without a change.")
    p: float | None = Field(description="Corrected for the number of tests, by Holm's method.")
    drifted: bool

    @property
    def name(self) -> str:
        """What was tested, in words for a line."""
        if self.column is None:
            return "all rows"
        column = shown(self.column, 40)
        return f"mix of {column}" if self.segment is None else f"{column}={shown(self.segment, 40)}"


class Norms(Part):
    """Lengths of the rows as they are stored."""

    reference: float = Field(description="Mean.")
    current: float
    change: float = Field(description="Of the mean, as a share of the reference's.")


class Churn(Part):
    """Neighbours of items that are in both files, among the items that are in both."""

    items: int
    k: int
    changed: float = Field(description="Share of an item's k nearest others that are not its k nearest any more.")
    mean_cosine: float = Field(description="Between an item's two embeddings.")


class DriftedItem(Part):
    """One of the items that drifted most."""

    id: str
    by: float = Field(
        description="1 - cosine to its own reference; for a new item, how much farther it lies from the reference's "
        "rows than from the current ones."
    )
    columns: dict[str, str]


class DriftReport(Document):
    """Whether embeddings changed between two files, where, and which items most."""

    schema_: Literal["edgekit.drift/1"] = Field(SCHEMA, alias="schema")
    alert: bool = Field(description="Whether a check found drift.")
    distance: str
    alpha: float
    permutations: int
    checks: list[Check]
    norms: Norms
    churn: Churn | None = Field(description="Null: too few items are in both files.")
    items: list[DriftedItem]
    notes: list[str]

    def raise_for_alert(self) -> None:
        """Raises DriftError where a check found drift, naming the checks."""
        if self.alert:
            found = [row.name for row in self.checks if row.drifted]
            raise DriftError(f"the embeddings drifted: {', '.join(found[:5])}{', ...' if len(found) > 5 else ''}")
