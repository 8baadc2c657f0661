"""What is measured on iPhones, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

from edgekit.bench.drivers.phone import PhoneJob
from edgekit.bench.protocol import COMPUTE_UNITS, ComputeUnits
from edgekit.errors import UsageError

__all__ = ["IosJob", "compute_units_of"]


@dataclass(frozen=True, kw_only=True)
class IosJob(PhoneJob):
    """What to measure on every device, with each of the compute units in turn; they are set anew for each run.

    `app` is the folder that `xcodebuild build-for-testing` filled.

    Raises:
        UsageError: the model is no .mlpackage.
    """

    spare_s: ClassVar[float] = 600.0  # Core ML compiles the model first

    app: Path
    compute_units: Sequence[ComputeUnits] = COMPUTE_UNITS[:1]
    step_timeout_s: float = 120.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model.suffix != ".mlpackage" or self.asked.format != "coreml":
            raise UsageError(f"{self.model}: iPhones take .mlpackage; give one of those", field="artifacts")


def compute_units_of(names: Sequence[str]) -> Sequence[ComputeUnits]:
    """The compute units of these names; the first of all where there are no names.

    Raises:
        UsageError: there are none of such a name.
    """
    if not set(names) <= set(COMPUTE_UNITS):
        known = ", ".join(COMPUTE_UNITS)
        raise UsageError(f"`compute_units` are {', '.join(names)}; give some of {known}", field="compute_units")
    return cast("Sequence[ComputeUnits]", names) or COMPUTE_UNITS[:1]
