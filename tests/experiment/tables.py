"""Tables of experiments for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from edgekit.experiment.result import Comparison, ExperimentResult

__all__ = ["only", "shop", "write"]


def write(path: Path, columns: dict[str, Any]) -> Path:
    """A Parquet file of some columns."""
    parquet.write_table(pa.table(columns), path)
    return path


def shop(units: int = 4000, seed: int = 0, lift: float = 0.0) -> dict[str, Any]:
    """An experiment in a shop: orders (0 or 1), revenue with its value before, clicks and views, and days in order.

    The arm `new` has `lift` more revenue than `control`.
    """
    rng = np.random.default_rng(seed)
    new = rng.random(units) < 0.5
    before = rng.gamma(2.0, 10.0, units)
    views = 1 + rng.poisson(5.0, units)
    return {
        "unit": [f"u{number}" for number in range(units)],
        "arm": np.where(new, "new", "control"),
        "orders": (rng.random(units) < 0.1).astype(np.int64),
        "revenue": 0.8 * before + rng.gamma(2.0, 5.0, units) + lift * new,
        "revenue_before": before,
        "clicks": rng.binomial(views, 0.2),
        "views": views,
        "date": np.datetime64("2026-01-01") + np.arange(units) * 10 // units,
    }


def only(result: ExperimentResult) -> Comparison:
    """The one comparison of a result."""
    (comparison,) = result.comparisons
    return comparison
