"""What a comparison found: the content of its JSON. Every figure says how it was obtained."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from edgekit.support.documents import Document, Part

__all__ = ["SCHEMA", "Answer", "CompareReport", "Price", "Row", "Value"]

SCHEMA: Final = "edgekit.comparison/1"


class Value(Part):
    """A figure, with the interval of its sampling where it has one."""

    value: float
    low: float | None = None
    high: float | None = None
    how: str = Field(description="How it was obtained: measured where, on what, counted, or computed from what.")
    measured: Literal["host", "device", "emulated device"] | None = Field(
        None, description="Where it, or what it is computed from, was measured; null where nothing was."
    )
    doubts: list[str] = Field(
        [], description="Why that measurement is not to be compared with others, in the words of `edgekit bench`."
    )


class Row(Part):
    """One model in one precision for one target."""

    name: str = Field(description="Folder of the export.")
    model: str
    target: str
    format: str
    precision: str
    sha256: str | None = Field(description="Of the artifact; null where there is none.")
    reference: bool | None = Field(description="True where a stand-in for the device's runtime embedded the photos.")
    figures: dict[str, Value] = Field(description="By name; what could not be had is missing.")
    missing: dict[str, str] = Field(description="Why a figure, or a group of them, is missing.")
    error: str | None = Field(description="Why there is no artifact.")
    front: bool | None = Field(
        description="No other row is at least as good in quality, latency and size and better in one. Null where one "
        "of the three is missing."
    )
    dominated_by: str | None = Field(description="The first such other row.")
    qualifies: bool | None = Field(description="Whether it keeps `where`; null where missing figures leave that open.")

    def value(self, name: str) -> float | None:
        """A figure; None where it is missing."""
        found = self.figures.get(name)
        return None if found is None else found.value


class Price(Part):
    """A price that was used."""

    name: str
    price: float
    per: str
    source: str
    date: str
    note: str


class Answer(Part):
    """Which row to ship, and why."""

    ship: str | None = Field(description="Name of the row; null where none qualifies.")
    nearest: str | None = Field(description="Where none qualifies: the row that misses its limits by the least share.")
    why: list[str]
    warnings: list[str] = Field([], description="What makes the answer doubtful: measurements that are not valid.")


class CompareReport(Document):
    """All rows in the order that they were asked for, and the answer."""

    schema_: Literal["edgekit.comparison/1"] = Field(SCHEMA, alias="schema")
    data: str = Field(description="The photos that quality was judged on.")
    tasks: list[str]
    best: str = Field(description="The figure that is to be best; also the quality of the Pareto front.")
    where: str | None
    currency: str
    prices: list[Price]
    rows: list[Row]
    answer: Answer
    notes: list[str]
