"""How often the drift alert fires, over many seeds: on fresh listings of the synthetic catalogue, and on shifted ones.

A pool of listings is photographed and embedded once, two photos each; the photos of the shifts are made of the same
pictures. For each seed the pool is cut in two at random, and a week of listings is drawn from either half: nothing is
in both weeks. The alert is that of `edgekit evaluate drift --by category` as it is set by default.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageFilter
from side_by_side import build, pin

import edgekit
from edgekit.data.catalog import Catalog
from edgekit.embedding.about import About, Model, Preprocessing
from edgekit.embedding.file import Rows, write_embeddings
from edgekit.model.embedder import Embedder
from edgekit.support.progress import Stages, table

MAX_FALSE = 0.05
PHOTOS, BATCH = 2, 16
MIXED = ("clothing", "shoes", "bags")


def warm(pixels: np.ndarray) -> np.ndarray:
    """Evening light: less blue, more red."""
    return np.clip(pixels * np.array([1.2, 1.0, 0.7]), 0, 255).astype(np.uint8)


def cheap_camera(pixels: np.ndarray) -> np.ndarray:
    """Another phone: a soft lens and a noisy sensor."""
    soft = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(2)), np.float64)
    noise = np.random.default_rng(0).normal(0, 10, pixels.shape)
    return np.clip(soft + noise, 0, 255).astype(np.uint8)


SHIFTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "season (colour cast)": warm,
    "camera (blur, noise)": cheap_camera,
}
FRESH = "fresh sample"
MIXES = {"mix (3 of 11 categories 5 times as often)": 5.0, "mix (3 of 11 categories gone)": 0.0}  # by weight


@dataclass(frozen=True)
class Pool:
    """Embeddings [listings, photos, D] of each kind of photo, and the category of each listing."""

    embeddings: dict[str, np.ndarray]
    categories: np.ndarray
    about: About


def embed(embedder: Embedder, catalog: Catalog, reporter: Stages) -> Pool:
    """The pool, photographed as it is and shifted."""
    values: dict[str, list[np.ndarray]] = {name: [] for name in (FRESH, *SHIFTS)}
    with reporter.stage(f"embed {len(catalog)} photos {len(values)} times") as tick:
        for start in range(0, len(catalog), BATCH):
            images = [catalog[index].image for index in range(start, min(start + BATCH, len(catalog)))]
            values[FRESH].append(embedder.embed(np.stack(images)))
            for name, shift in SHIFTS.items():
                values[name].append(embedder.embed(np.stack([shift(image) for image in images])))
            tick(start + len(images), len(catalog))
    embeddings = {name: np.concatenate(rows).reshape(catalog.listings, PHOTOS, -1) for name, rows in values.items()}
    spec = embedder.spec
    about = About(
        model=Model(name="catalog-vit-tiny", sha256="0" * 64, kind="pytorch", runtime="torch"),
        preprocessing=Preprocessing(**{name: getattr(spec, name) for name in Preprocessing.model_fields}),
        dim=embeddings[FRESH].shape[-1],
        dtype="float32",
        source="synthetic catalogue",
    )
    categories = np.array([catalog.listing(index).category for index in range(catalog.listings)])
    return Pool(embeddings, categories, about)


def write_week(path: Path, pool: Pool, kind: str, listings: np.ndarray) -> Path:
    values = pool.embeddings[FRESH if kind in MIXES else kind][listings].reshape(len(listings) * PHOTOS, -1)
    label = [f"listing-{listing}" for listing in listings for _ in range(PHOTOS)]
    category = [str(pool.categories[listing]) for listing in listings for _ in range(PHOTOS)]
    ids = [f"{path.stem}-{number}" for number in range(len(values))]
    columns = {"label": label, "category": category}
    write_embeddings(path, pool.about, [Rows(ids, values, columns)], list(columns))
    return path


def alarms(pool: Pool, kind: str, week: int, seed: int, folder: Path) -> bool:
    """Whether the alert fires on a week of `kind` after one of the catalogue as it is."""
    rng = np.random.default_rng(seed)
    before, after = np.array_split(rng.permutation(len(pool.categories)), 2)
    weights = np.ones(len(after))
    weights[np.isin(pool.categories[after], MIXED)] = MIXES.get(kind, 1.0)
    drawn = rng.choice(after, week, replace=False, p=weights / weights.sum())
    reference = write_week(folder / "reference.parquet", pool, FRESH, before[:week])
    current = write_week(folder / "current.parquet", pool, kind, drawn)
    return edgekit.evaluate_drift(edgekit.DriftRequest(reference, current, by=["category"], seed=seed)).alert


@click.command(help=__doc__)
@click.option("--listings", default=1800, show_default=True, help="Of the pool.")
@click.option("--week", default=150, show_default=True, help="Listings in a week.")
@click.option("--seeds", default=100, show_default=True)
@click.option("--core", default=0, show_default=True, help="Core to stay on.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(listings: int, week: int, seeds: int, core: int, out: Path | None) -> None:
    pin(core)
    reporter = Stages()
    embedder = build("catalog-vit-tiny")
    pool = embed(embedder, Catalog(listings, PHOTOS, size=embedder.spec.size[0]), reporter)
    rates, kinds = {}, (FRESH, *SHIFTS, *MIXES)
    with tempfile.TemporaryDirectory() as scratch, reporter.stage(f"{seeds} seeds") as tick:
        for number, kind in enumerate(kinds):
            fired = 0
            for seed in range(seeds):
                fired += alarms(pool, kind, week, seed, Path(scratch))
                tick(number * seeds + seed + 1, seeds * len(kinds))
            rates[kind] = fired / seeds
    rows = [(kind, f"{rate:.0%}", "at most 5 %" if kind == FRESH else "-") for kind, rate in rates.items()]
    table(
        f"Alerts over {seeds} seeds, {week} listings a week", ("this week", "alerts", "target"), rows, right=("alerts",)
    )
    if out is not None:
        figures = {"seeds": seeds, "week": week, "pool": listings, "rates": rates, "met": rates[FRESH] <= MAX_FALSE}
        out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
