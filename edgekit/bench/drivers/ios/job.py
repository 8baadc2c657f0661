"""What is measured on iPhones, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.bench.golden import Golden
from edgekit.bench.protocol import COMPUTE_UNITS, AppJob, ComputeUnits
from edgekit.errors import InputError, IntegrityError, UsageError
from edgekit.support.files import sha256_tree, size_of

__all__ = ["IosJob"]


@dataclass(frozen=True, kw_only=True)
class IosJob:
    """What to measure on every device, with each of the compute units in turn.

    `asked` is the job of the app; its run and compute units are set anew for each run. `app` is the folder that
    `xcodebuild build-for-testing` filled. `run_timeout_s` None allows ten minutes beside three times the duration:
    Core ML compiles the model first. Other times are limits in seconds: of one question to the device, of one copy to
    or from it, and of removing the job from it.

    Raises:
        UsageError: no compute units, unknown ones, or a model that is no .mlpackage.
    """

    model: Path
    golden: Golden
    asked: AppJob
    app: Path
    compute_units: Sequence[ComputeUnits] = ("all",)
    step_timeout_s: float = 120.0
    copy_timeout_s: float = 600.0
    run_timeout_s: float | None = None
    cleanup_timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if not self.compute_units or not set(self.compute_units) <= set(COMPUTE_UNITS):
            told = ", ".join(self.compute_units) or "none"
            raise UsageError(f"compute units: {told}; give some of {', '.join(COMPUTE_UNITS)}")
        if self.model.suffix != ".mlpackage" or self.asked.format != "coreml":
            raise UsageError(f"{self.model}: iPhones take .mlpackage; give one of those")

    @property
    def limit_s(self) -> float:
        """Seconds that a run may take."""
        return self.run_timeout_s if self.run_timeout_s is not None else 600 + 3 * self.asked.duration

    def check(self) -> None:
        """Raise IntegrityError or InputError where the model is no longer what `asked` names, or does not fit."""
        facts = self.asked.facts
        if size_of(self.model) != facts.bytes or sha256_tree(self.model) != facts.sha256:
            raise IntegrityError(f"{self.model}: has changed since it was opened; start again")
        due = (self.asked.count, self.asked.height, self.asked.width, 3), (self.asked.count, self.asked.dim)
        if (self.golden.images.shape, self.golden.embeddings.shape) != due:
            raise InputError(f"{self.model}: images or golden embeddings have other sizes than the job says")
