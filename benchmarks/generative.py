"""Whether generated queries judge models as they should, over many seeds of the synthetic catalogue.

For each seed a catalogue of its own is drawn. The captions of its listings, in eight languages, become pictures, and
each picture searches one seller's photo of each listing of all seeds for its own listing, as `edgekit evaluate
generative` does it. Two questions:

- does catalog-s0, damaged by noise on its weights, rank below the original in every language?
- do the four bundled students rank as they do by real photos of the catalogue? Those are the 2,000 photos among 2,000
  of their training cards, as real photos find nearly everything in a gallery that is smaller.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from scipy import stats
from side_by_side import build, pin

from edgekit.data.catalog import Catalog
from edgekit.data.catalog.captions import LANGUAGES
from edgekit.data.catalog.from_text import draw_text
from edgekit.evaluation.galleries import plain_gallery
from edgekit.evaluation.generative.figures import judge_chosen, metrics
from edgekit.model.embedder import Embedder
from edgekit.support.progress import Stages, table

STUDENTS = ("catalog-vit-tiny", "catalog-s0", "catalog-b0", "catalog-mobilevit-xs")
BASE, DAMAGED = "catalog-s0", "catalog-s0, damaged"
AT = (1, 10)
BATCH = 16
SIZE = 224  # of photos and pictures, in pixels
CARDS = Path(__file__).parents[1] / "models"


@dataclass(frozen=True)
class Scene:
    """What all models see: photos and pictures uint8 [N,H,W,3], one a seed and listing, and one a language of that."""

    photos: np.ndarray
    pictures: np.ndarray


def draw(seeds: int, listings: int, reporter: Stages) -> Scene:
    photos, pictures = [], []
    with reporter.stage(f"draw {seeds * listings} photos and {len(LANGUAGES)} pictures of each") as tick:
        for seed in range(seeds):
            catalog = Catalog(listings, 1, seed=seed, size=SIZE)
            for number in range(listings):
                photos.append(catalog.render(number, 0))
                for language, text in catalog.listing(number).captions.items():
                    picture = draw_text(text, language, seed, SIZE)
                    assert picture is not None, text
                    pictures.append(picture)
                tick(len(photos), seeds * listings)
    return Scene(np.stack(photos), np.stack(pictures))


def damage(embedder: Embedder, noise: float) -> Embedder:
    """Add Gaussian noise to every tensor of weights: `noise` times the deviation of its values."""
    drawn = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in embedder.parameters():
            if weight.ndim >= 2:
                weight.add_(torch.randn(weight.shape, generator=drawn) * weight.std() * noise)
    return embedder


def embed(name: str, embedder: Embedder, images: np.ndarray, reporter: Stages) -> np.ndarray:
    rows = []
    with reporter.stage(f"embed {len(images)} images by {name}") as tick:
        for start in range(0, len(images), BATCH):
            rows.append(embedder.embed(images[start : start + BATCH]))
            tick(min(start + BATCH, len(images)), len(images))
    return np.concatenate(rows)


def judged(name: str, embedder: Embedder, scene: Scene, reporter: Stages) -> np.ndarray:
    """Figures float64 [listings of all seeds, languages, M]."""
    gallery = plain_gallery(embed(name, embedder, scene.photos, reporter))
    asked = embed(name, embedder, scene.pictures, reporter)
    chosen = [[np.array([number // len(LANGUAGES)])] for number in range(len(asked))]
    found = judge_chosen(asked, gallery, chosen, AT, lambda *_: None)
    return found.values.reshape(len(scene.photos), len(LANGUAGES), -1)


def real(name: str) -> float:
    """recall@1 of real photos, of a student's training card."""
    card = json.loads((CARDS / f"{name}.json").read_text())
    return float(card["figures"]["retrieval"]["seller-review"]["recall_1"])


def rates(values: dict[str, np.ndarray], seeds: int, metric: int) -> dict[str, Any]:
    """What comes of it by one figure; values [seeds * listings, languages, M]."""
    means = {name: rows[..., metric].reshape(seeds, -1, len(LANGUAGES)).mean(axis=1) for name, rows in values.items()}
    below = means[DAMAGED] < means[BASE]  # [seeds, languages]
    truth = [real(name) for name in STUDENTS]
    generated = np.stack([means[name].mean(axis=1) for name in STUDENTS])  # [students, seeds]
    rho = [float(stats.spearmanr(truth, generated[:, seed]).statistic) for seed in range(seeds)]
    return {
        "figure": metrics(AT)[metric],
        "means": {name: float(rows.mean()) for name, rows in means.items()},
        "below_in_every_language": float(below.all(axis=1).mean()),
        "below_by_language": dict(zip(LANGUAGES, below.mean(axis=0).tolist(), strict=True)),
        "below_in_all_seeds_together": bool((means[DAMAGED].mean(axis=0) < means[BASE].mean(axis=0)).all()),
        "spearman_mean": float(np.mean(rho)),
        "spearman_at_least_0.8": float(np.mean(np.array(rho) > 0.8 - 1e-9)),
        "spearman_above_0": float(np.mean(np.array(rho) > 0)),
        "spearman_in_all_seeds_together": float(stats.spearmanr(truth, generated.mean(axis=1)).statistic),
    }


@click.command(help=__doc__)
@click.option("--seeds", default=20, show_default=True)
@click.option("--listings", default=14, show_default=True, help="Of each seed.")
@click.option(
    "--noise", default=0.3, show_default=True, help="On the damaged model's weights, in deviations of each tensor."
)
@click.option("--core", default=0, show_default=True, help="Core to stay on.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(seeds: int, listings: int, noise: float, core: int, out: Path | None) -> None:
    pin(core)
    reporter, started = Stages(), time.process_time()
    scene = draw(seeds, listings, reporter)
    values = {name: judged(name, build(name), scene, reporter) for name in STUDENTS}
    values[DAMAGED] = judged(DAMAGED, damage(build(BASE), noise), scene, reporter)
    found = [rates(values, seeds, metric) for metric in range(len(metrics(AT)))]
    rows = [
        (name, *(f"{one['means'][name]:.3f}" for one in found), f"{real(name):.4f}" if name in STUDENTS else "-")
        for name in values
    ]
    names = [one["figure"] for one in found]
    table(
        f"{seeds} seeds of {listings} listings in {len(LANGUAGES)} languages, gallery of {seeds * listings} photos",
        ("model", *names, "real photos: recall@1"),
        rows,
        right=(*names, "real photos: recall@1"),
    )
    rows = [
        (text, *(f"{one[key]:.0%}" if share else f"{one[key]:.2f}" for one in found))
        for text, key, share in (
            ("seeds with the damaged model below in every language", "below_in_every_language", True),
            ("Spearman with real photos, mean over seeds", "spearman_mean", False),
            ("seeds with Spearman of at least 0.8", "spearman_at_least_0.8", True),
            ("seeds with Spearman above 0", "spearman_above_0", True),
            ("Spearman with real photos, all seeds together", "spearman_in_all_seeds_together", False),
        )
    ]
    table("Rates", ("rate", *names), rows, right=names)
    seconds = time.process_time() - started
    click.echo(f"{seconds:.0f} seconds of processor time")
    if out is not None:
        out.write_text(json.dumps({"seconds": seconds, "figures": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
