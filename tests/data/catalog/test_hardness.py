"""The catalogue means something: what sees no product fails on it, and the bundled model does not.

The ceilings are recall@1 in a gallery of 2,000: photo 0 of a listing asks, photo 1 of every listing answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from edgekit.data.catalog import Catalog
from edgekit.model.embedder import build_embedder
from edgekit.recipe import load_recipe

pytestmark = pytest.mark.slow  # four thousand drawings

GALLERY = 2000
MODEL = Path(__file__).parents[3] / "models" / "catalog-s0.toml"

Images = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]


def pairs(listings: int, size: int) -> tuple[Images, Images]:
    catalog = Catalog(listings, 2, size=size)
    queries, gallery = (np.stack([catalog.render(i, photo) for i in range(listings)]) for photo in (0, 1))
    return queries, gallery


def recall(queries: Floats, gallery: Floats) -> float:
    """recall@1 by Euclidean distance between rows."""
    gaps = (gallery**2).sum(axis=1)[None] - 2 * queries @ gallery.T
    return float((gaps.argmin(axis=1) == np.arange(len(queries))).mean())


def histograms(images: Images, bins: int) -> Floats:
    """Square roots of 3-D colour histograms [N, bins**3], so that Euclidean is the Hellinger distance."""
    levels = images.reshape(len(images), -1, 3).astype(int) * bins // 256
    cells = (levels[..., 0] * bins + levels[..., 1]) * bins + levels[..., 2]
    counts = np.stack([np.bincount(row, minlength=bins**3) for row in cells])
    return np.sqrt(counts / cells.shape[1])


def thumbnails(images: Images, side: int) -> Floats:
    """Raw pixels [N, side * side * 3], centred and scaled to unit length."""
    small = [np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BOX)) for image in images]
    rows = np.stack(small).reshape(len(images), -1).astype(np.float64)
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def untrained(size: int) -> torch.nn.Module:
    """A seeded EfficientFormerV2-S0 whose normalisation statistics come from catalogue images."""
    from timm import create_model

    torch.manual_seed(0)
    model = create_model("efficientformerv2_s0", num_classes=0, img_size=size).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
    for image in np.split(np.stack([photo.image for photo in Catalog(32, 2, size=size, split="train")]), 2):
        features(model, image)
    return model.eval()


@torch.no_grad()
def features(model: torch.nn.Module, images: Images) -> Floats:
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) * 255 for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    rows = [model((torch.from_numpy(part).permute(0, 3, 1, 2) - mean) / std) for part in np.array_split(images, 32)]
    return torch.nn.functional.normalize(torch.cat(rows), dim=1).numpy()


@pytest.fixture(scope="module")
def photos() -> tuple[Images, Images]:
    return pairs(GALLERY, 64)


def test_colour_histograms_stay_under_their_ceiling(photos: tuple[Images, Images]) -> None:
    assert max(recall(*(histograms(side, bins) for side in photos)) for bins in (4, 8)) < 0.3


def test_raw_pixels_stay_under_their_ceiling(photos: tuple[Images, Images]) -> None:
    assert max(recall(*(thumbnails(side, pixels) for side in photos)) for pixels in (16, 32)) < 0.3


def test_an_untrained_backbone_stays_under_its_ceiling(photos: tuple[Images, Images]) -> None:
    model = untrained(64)
    assert recall(*(features(model, side) for side in photos)) < 0.2


@pytest.mark.slow
def test_an_untrained_backbone_stays_under_its_ceiling_at_full_size() -> None:
    model = untrained(224)
    assert recall(*(features(model, side) for side in pairs(GALLERY, 224))) < 0.2


def test_these_measures_find_a_listing_when_nothing_else_changes(photos: tuple[Images, Images]) -> None:
    same = photos[0][:200]
    for describe in (lambda x: histograms(x, 8), lambda x: thumbnails(x, 32)):
        assert recall(describe(same), describe(np.clip(same.astype(int) + 2, 0, 255).astype(np.uint8))) > 0.95


def test_the_bundled_model_finds_unseen_listings() -> None:
    model = build_embedder(load_recipe(MODEL))
    assert recall(*(model.embed(side) for side in pairs(60, 224))) >= 0.95


@pytest.mark.slow
def test_the_bundled_model_finds_unseen_listings_in_a_gallery_of_2000() -> None:
    model = build_embedder(load_recipe(MODEL))
    embedded = [np.concatenate([model.embed(part) for part in np.array_split(side, 40)]) for side in pairs(2000, 224)]
    assert recall(*embedded) >= 0.9
