"""A run that is ready: all that its recipe names, opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.distillation.loader import DataSets
from edgekit.distillation.rounding import Rounding
from edgekit.distillation.teachers import Teacher
from edgekit.model.embedder import Embedder
from edgekit.quantization import Plan
from edgekit.recipe import Recipe
from edgekit.recipe.training import DistillSpec
from edgekit.support.progress import Reporter

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """A run whose data sets, student and teachers are open.

    `accelerator` is an `accelerate.Accelerator`, `started` a reading of `perf_counter`. `student` is the embedder
    before training, `roundings` what its modules round as they run, by name. `vocabulary` holds the class names of
    every task, `codes` each data set's classes as numbers into them, of the tasks that are trained; `widths` is the
    width of the projection to each teacher, None where there is none.
    """

    recipe: Recipe
    out: Path
    cache: Path
    accelerator: Any
    reporter: Reporter
    started: float
    student: Embedder
    plan: Plan | None
    roundings: Mapping[str, Rounding]
    data: DataSets
    vocabulary: Mapping[str, Sequence[str]]
    codes: dict[str, list[np.ndarray | None]]
    teachers: Sequence[Teacher]
    widths: Sequence[int | None]

    @property
    def spec(self) -> DistillSpec:
        """The recipe's `distill` table."""
        assert self.recipe.distill is not None
        return self.recipe.distill

    @property
    def main(self) -> bool:
        """Whether this process is the one that speaks and writes."""
        return bool(self.accelerator.is_main_process)
