"""What every measurement is asked for, wherever it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BenchRequest"]


@dataclass(frozen=True, kw_only=True)
class BenchRequest:
    """What to measure, and how long."""

    artifacts: Sequence[Path]
    threads: int = 1
    warmup: int = 10
    min_iterations: int = 100
    min_duration_s: float = 5.0  # of each artifact's own turns
    images: int = 8
    allow_bare: bool = False
