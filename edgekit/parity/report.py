"""What a parity check found: the content of parity.json."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from edgekit.errors import InconclusiveError, ParityError
from edgekit.recipe.gates import Gates
from edgekit.support.documents import Document, Part

__all__ = [
    "FILENAME",
    "SCHEMA",
    "Dataset",
    "ImageCosine",
    "LeftOutImages",
    "ParityReport",
    "RecallFigures",
    "Retrieval",
    "Verdict",
]

FILENAME: Final = "parity.json"
SCHEMA: Final = "edgekit.parity/1"
Verdict = Literal["pass", "fail", "inconclusive"]


class LeftOutImages(Part):
    """Images of kinds that nothing here reads, by the suffix of their names."""

    images: int = Field(ge=1, description="How many.")
    kinds: dict[str, int] = Field(description="How many of each kind: suffixes in capitals.")
    first: list[str] = Field(description="The first few names.")


class Dataset(Part):
    """The images that were compared."""

    name: str = Field(description="What the images are: a folder's name, or the synthetic catalogue with its seed.")
    sha256: str = Field(description="Hash of the images' names and contents.")
    images: int = Field(ge=0, description="Images compared.")
    skipped: int = Field(0, ge=0, description="Images left out because they could not be read.")
    skipped_first: list[str] = Field([], description="The first few names of those.")
    left_out: LeftOutImages | None = Field(None, description="Images of kinds that are not read; null: none.")


class ImageCosine(Part):
    """One image's cosine between the file's embedding and the original's."""

    name: str
    cosine: float | None = Field(description="Rounded to 7 decimals; null where the file gave NaN or infinity.")


class RecallFigures(Part):
    """Recall of one arrangement of queries and gallery, each a share from 0 to 1 with its binomial standard error."""

    at_1: float
    at_1_error: float
    at_10: float
    at_10_error: float
    drop: float | None = Field(None, description="Points of recall@10 lost against the original (negative: gained).")


class Retrieval(Part):
    """Search with each image as the query.

    Task "listing": relevant is another image with the same label, the query itself is not in the gallery.
    Task "self" (images without labels): relevant is the same image, in the gallery of the other side.
    """

    task: Literal["listing", "self"]
    queries: int = Field(ge=0, description="Queries that have a relevant image.")
    gallery: int = Field(ge=0, description="Images searched, for each query.")
    original: RecallFigures
    artifact: RecallFigures | None = Field(description="Artifact queries in the artifact's gallery; null in task self.")
    mixed: RecallFigures = Field(description="Artifact queries in the original's gallery: the phone asks the server.")


class ParityReport(Document):
    """Verdict and figures of one written file against the original model. A figure that cannot be taken is null.

    "pass": every gate was kept. "fail": at least one was not. "inconclusive": the original's embeddings hardly vary, so
    the gates say nothing.
    """

    schema_: Literal["edgekit.parity/1"] = Field(SCHEMA, alias="schema")
    verdict: Verdict
    reasons: list[str] = Field(default=[], description="Each gate that was missed, with its figure and limit.")
    runtime: str = Field(description="What ran the file, for example onnxruntime.")
    reference: bool = Field(description="True where that runtime stands in for the device's own.")
    dataset: Dataset
    gates: Gates
    dim: int | None = Field(None, description="Values in an embedding.")
    mean_cosine: float | None = None
    min_cosine: float | None = None
    worst_image: str | None = Field(None, description="The image with the smallest cosine.")
    max_abs_error: float | None = None
    max_norm_error: float | None = Field(None, description="Largest distance of a row's length from 1.")
    neighbours: int | None = Field(None, description="k of the overlap: 10, or half the other images where fewer.")
    neighbour_overlap: float | None = Field(None, description="Mean share of k nearest neighbours that both agree on.")
    spread: float | None = Field(None, description="1 minus the mean cosine of two of the original's images.")
    dimensions: float | None = Field(None, description="Participation ratio of the original's variance.")
    retrieval: Retrieval | None = None
    cosines: list[ImageCosine] = Field(default=[], description="One entry an image, in the order they were read.")

    def raise_for_verdict(self, *, allow_inconclusive: bool = False) -> None:
        """ParityError on "fail"; InconclusiveError on "inconclusive" unless that is allowed."""
        why = "; ".join(self.reasons)
        where = f"{self.dataset.images} images of {self.dataset.name}, {self.runtime}"
        if self.verdict == "fail":
            raise ParityError(f"parity failed: {why} ({where})")
        if self.verdict == "inconclusive" and not allow_inconclusive:
            raise InconclusiveError(
                f"parity says nothing: {why} ({where}); use trained weights or other images, "
                "or accept it with `allow_inconclusive=True`",
                field="allow_inconclusive",
            )
