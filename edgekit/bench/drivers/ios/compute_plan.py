"""Where Core ML means to run each operator of a model: `edgekit.compute-plan/1`, which the app on the phone writes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgekit.bench import schema as s
from edgekit.bench.protocol import ComputeUnits
from edgekit.errors import InputError
from edgekit.support.documents import Document, Part

__all__ = ["ComputePlan", "Operator", "read_compute_plan"]

SCHEMA: Literal["edgekit.compute-plan/1"] = "edgekit.compute-plan/1"
_MAX_OPERATORS = 20_000
_MAX_BYTES = 8 << 20
_Place = Literal["cpu", "gpu", "neuralEngine"]


class Operator(Part):
    """An operator of the compiled model; `preferred` is null where the plan names no device, as for constants."""

    name: s.Text | None = None
    type: s.Text
    preferred: _Place | None = None
    supported: Annotated[tuple[_Place, ...], Field(max_length=8)] | None = None
    cost: Annotated[float, Field(ge=0, le=1e9)] | None = Field(None, description="Share of the whole, as estimated.")


class ComputePlan(Document):
    """All operators of the main function, in its order."""

    ADVICE: ClassVar[str] = "measure again"

    schema_: Literal["edgekit.compute-plan/1"] = Field(default=SCHEMA, alias="schema")
    run_id: s.RunId
    compute_units: ComputeUnits
    operators: tuple[Operator, ...]

    @property
    def per_device(self) -> dict[str, int]:
        """How many operators each device is meant to run; operators without a device are left out."""
        return dict(Counter(operator.preferred for operator in self.operators if operator.preferred is not None))


def read_compute_plan(path: Path) -> ComputePlan:
    """Read a compute plan that a device or anyone may have written; InputError says what is wrong with it."""
    content = ComputePlan.content(path, max_bytes=_MAX_BYTES)
    operators = content.get("operators")
    # Looked at here: pydantic copies all that surrounds a mistake into each of its errors.
    if not isinstance(operators, list) or len(operators) > _MAX_OPERATORS:
        raise InputError(f"{path}: `operators` is not a list of at most {_MAX_OPERATORS}; measure again")
    if not all(isinstance(operator, dict) and len(operator) <= len(Operator.model_fields) for operator in operators):
        raise InputError(f"{path}: an entry of `operators` has fields that no operator has; measure again")
    return ComputePlan.of(content, path)
