"""Where Core ML means to run each operator of a model: `edgekit.plan-devices/1`, which the app on the phone writes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgekit.bench.protocol import ComputeUnits
from edgekit.errors import InputError
from edgekit.support.documents import Document, Part

__all__ = ["Operator", "Plan", "read_plan"]

SCHEMA: Literal["edgekit.plan-devices/1"] = "edgekit.plan-devices/1"
_MOST = 20_000  # operators
_MAX_BYTES = 8 << 20
_Text = Annotated[str, Field(max_length=500)]
_Place = Literal["cpu", "gpu", "neuralEngine"]


class Operator(Part):
    """An operator of the compiled model; `preferred` is null where the plan names no device, as for constants."""

    name: _Text | None = None
    type: _Text
    preferred: _Place | None = None
    supported: Annotated[tuple[_Place, ...], Field(max_length=8)] | None = None
    cost: Annotated[float, Field(ge=0, le=1e9)] | None = Field(None, description="Share of the whole, as estimated.")


class Plan(Document):
    """All operators of the main function, in its order."""

    ADVICE: ClassVar[str] = "measure again"

    schema_: Literal["edgekit.plan-devices/1"] = Field(default=SCHEMA, alias="schema")
    run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    compute_units: ComputeUnits
    operators: tuple[Operator, ...]

    @property
    def per_device(self) -> dict[str, int]:
        """How many operators are meant for which device; those without one are left out."""
        return dict(Counter(one.preferred for one in self.operators if one.preferred is not None))


def read_plan(path: Path) -> Plan:
    """Read a plan that a device or anyone may have written; InputError says what is wrong with it."""
    content = Plan.content(path, max_bytes=_MAX_BYTES)
    operators = content.get("operators")
    # Looked at here: pydantic copies all that surrounds a mistake into each of its errors.
    if not isinstance(operators, list) or len(operators) > _MOST:
        raise InputError(f"{path}: not a valid plan (operators: no list, or over {_MOST}); measure again")
    if not all(isinstance(one, dict) and len(one) <= len(Operator.model_fields) for one in operators):
        raise InputError(f"{path}: not a valid plan (operators: more in one than an operator has); measure again")
    return Plan.of(content, path)
