"""What a bisect found: the tensors of a file beside those of its program, and the first that differs."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from edgekit.support.documents import Document, Part

__all__ = ["SCHEMA", "BisectReport", "Step"]

SCHEMA: Literal["edgekit.bisect/1"] = "edgekit.bisect/1"


class Step(Part):
    """A tensor of the file, and the call of the program that it was matched with."""

    depth: int = Field(ge=0, description="The place of the call among all calls of the program.")
    module: str = Field(description="The module of the original that it came from.")
    op: str = Field(description="The call of the program.")
    tensor: str = Field(description="What the file calls the tensor.")
    kind: str = Field(description="The file's operator.")
    shape: list[int]
    cosine: float | None = Field(description="With what the program gives; null where either has no finite number.")
    max_error: float | None = Field(description="Largest difference from what the program gives; null where infinite.")
    own_error: float | None = Field(
        description="Relative difference from what the program makes of the file's own tensors before it: the error of "
        "this step alone; null where infinite."
    )
    jump: bool = Field(False, description="Whether that is more than the precision's rounding.")
    likely: str | None = Field(None, description="Of a jump: what has likely happened.")


class BisectReport(Document):
    """Every tensor of a file that could be matched, in the order of the program."""

    STYLE: ClassVar[dict[str, Any]] = {"indent": 1}

    schema_: Literal["edgekit.bisect/1"] = Field(SCHEMA, alias="schema")
    model: str
    format: str
    precision: str
    image: str = Field(description="The image whose tensors were compared.")
    cosine: float | None = Field(description="Of the file's embedding with the program's.")
    allowed: float = Field(description="The relative difference that rounding in this precision explains.")
    seen: int = Field(ge=0, description="Tensors of real numbers that the file made.")
    steps: list[Step]

    @property
    def first(self) -> Step | None:
        """The first step that differs by more than rounding; None where none does."""
        return next((step for step in self.steps if step.jump), None)
