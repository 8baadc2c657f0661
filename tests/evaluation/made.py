"""Files of embeddings that the tests of this room write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgekit.embedding.about import CODES, About, Dtype, Model, Preprocessing
from edgekit.embedding.file import Rows, write_embeddings
from edgekit.metrics.retrieval import unit_rows

__all__ = ["listings", "write"]


def write(
    path: Path,
    values: np.ndarray,
    columns: Mapping[str, Sequence[str]],
    ids: Sequence[str] | None = None,
    model: str = "toy",
    dtype: Dtype = "float32",
    space: str | None = None,
) -> Path:
    """Write rows [N,D] of any length as embeddings of the model of that name."""
    triple = (0.5, 0.5, 0.5)
    about = About(
        model=Model(name=model, sha256=f"{sum(model.encode()):064x}", space=space, kind="pytorch", runtime="torch"),
        preprocessing=Preprocessing(
            size=(32, 32), interpolation="bicubic", crop_pct=1.0, crop_mode="center", mean=triple, std=triple
        ),
        dim=values.shape[1],
        dtype=dtype,
        scale=1 / CODES if dtype == "int8" else None,
        source="toys",
    )
    named = list(ids) if ids is not None else [f"photo-{number}" for number in range(len(values))]
    write_embeddings(
        path, about, [Rows(named, unit_rows(values), {k: list(v) for k, v in columns.items()})], list(columns)
    )
    return path


def listings(
    count: int, photos: int = 2, dim: int = 16, noise: float = 0.6, seed: int = 0
) -> tuple[np.ndarray, dict[str, list[str]]]:
    """Embeddings of `photos` noisy photos of each of `count` listings, with label, style and category of each."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((count, dim))
    values = np.repeat(centres, photos, axis=0) + noise * rng.standard_normal((count * photos, dim))
    listing = np.repeat(np.arange(count), photos)
    return values, {
        "label": [f"listing-{number}" for number in listing],
        "style": [("seller", "review")[number % photos % 2] for number in range(count * photos)],
        "category": [("shoes", "bags", "hats")[number % 3] for number in listing],
    }
