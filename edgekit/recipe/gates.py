"""The limits that a written file's embeddings must keep."""

from __future__ import annotations

from pydantic import Field

from edgekit.support.documents import Part

__all__ = ["Gates"]

_DEFAULTS = {
    "fp32": {"min_cosine": 0.9999, "max_norm_error": 1e-4},
    "fp16": {"min_cosine": 0.999, "max_norm_error": 5e-3},
    "int8": {"min_cosine": 0.99, "max_norm_error": 5e-3, "min_spread": 0.02},
    "int4": {"min_cosine": 0.97, "max_norm_error": 5e-3, "min_spread": 0.06},
}


class Gates(Part):
    """What a file must keep against the original. The defaults are those of fp32; `for_precision` gives each one's."""

    min_cosine: float = Field(
        0.9999, gt=0, le=1, description="Every image's cosine between the file's embedding and the original's."
    )
    max_recall_drop: float = Field(
        0.5,
        ge=0,
        le=100,
        description="Points of recall@10 that the file alone and the mixed case may lose against the original. "
        "With fewer than 200 queries, half a point means not one query.",
    )
    max_norm_error: float = Field(1e-4, ge=0, description="How far a row's length may be from 1.")
    min_spread: float = Field(
        0.001,
        ge=0,
        le=1,
        description="1 minus the mean cosine between different images that the original must reach for parity to mean "
        "anything; 2 x (1 - min_cosine) x N / (N - 1), below which a constant answer passes, where its recall@10 is "
        "not above max_recall_drop.",
    )
    min_dimensions: float = Field(
        1.5,
        ge=0,
        description="Participation ratio of the original's variance that must be reached (from 16 images on): "
        "1 means that all embeddings lie on one line. Fewer are enough where what they vary beside that line, and any "
        "smooth curve along it, is more than min_cosine lets pass.",
    )

    @classmethod
    def for_precision(cls, precision: str, **overrides: float) -> Gates:
        """The defaults of "fp32", "fp16", "int8" or "int4" (another's are fp16's), a recipe's own limits over them."""
        return cls(**{**_DEFAULTS.get(precision, _DEFAULTS["fp16"]), **overrides})
