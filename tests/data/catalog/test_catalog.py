"""The catalogue as its users see it: repeatable, addressable, split, and the same at every size."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgekit.data.catalog import Catalog
from edgekit.data.catalog.catalog import Split
from edgekit.errors import UsageError


def test_same_seed_same_pixels_in_another_process() -> None:
    code = "from edgekit.data.catalog import Catalog; print(Catalog(5, 2, seed=9, size=64).digest())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == Catalog(5, 2, seed=9, size=64).digest()


def test_digest_tells_catalogues_apart() -> None:
    base: dict[str, Any] = {"listings": 4, "photos": 2, "seed": 1, "size": 48, "split": "test"}
    changes: list[dict[str, Any]] = [{}, {"listings": 5}, {"photos": 3}, {"seed": 2}, {"size": 64}, {"split": "train"}]
    assert len({Catalog(**(base | change)).digest() for change in changes}) == 6


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 500), st.integers(0, 5))
def test_a_photo_does_not_depend_on_how_many_there_are(seed: int, listing: int, photo: int) -> None:
    small = Catalog(listing + 1, photo + 1, seed=seed, size=32).render(listing, photo)
    large = Catalog(listing + 900, photo + 3, seed=seed, size=32).render(listing, photo)
    assert small.dtype == np.uint8
    assert small.shape == (32, 32, 3)
    assert np.array_equal(small, large)


@pytest.mark.parametrize("size", [96, 160, 224, 320])
def test_every_size_shows_the_same_picture(size: int) -> None:
    reference, other = Catalog(12, 2, size=224), Catalog(12, 2, size=size)
    for a, b in zip(reference, other, strict=True):
        small = [
            np.asarray(Image.fromarray(p.image).resize((32, 32), Image.Resampling.BOX), dtype=float) for p in (a, b)
        ]
        assert np.abs(small[0] - small[1]).mean() < 4.0
        assert np.corrcoef(small[0].ravel(), small[1].ravel())[0, 1] > 0.97


def test_the_light_of_a_photo_is_how_it_looks() -> None:
    catalog = Catalog(120, 2, size=32)
    means: dict[str, list[float]] = {"dark": [], "even": [], "bright": []}
    for listing in range(120):
        means[catalog.lighting(listing, 1)].append(float(catalog.render(listing, 1).mean()))
    assert min(map(len, means.values())) > 10
    dark, even, bright = (np.mean(values) for values in means.values())
    assert dark < even < bright


def test_iteration_is_listing_major_and_alternates_styles() -> None:
    catalog = Catalog(3, 3, size=32)
    photos = list(catalog)
    assert len(photos) == len(catalog) == 9
    assert [(p.listing, p.photo) for p in photos] == [(i, k) for i in range(3) for k in range(3)]
    assert photos[5].name == "listing-000001/photo-2-seller.png"
    assert photos[4].name == "listing-000001/photo-1-review.png"
    assert np.array_equal(catalog[-1].image, photos[-1].image)


def test_splits_and_seeds_share_no_listing() -> None:
    splits: tuple[Split, ...] = ("train", "test")
    catalogs = [Catalog(300, 1, seed=seed, split=split) for seed in (0, 1) for split in splits]
    identities = {catalog.identity(index) for catalog in catalogs for index in range(300)}
    assert len(identities) == 4 * 300


def test_photos_of_one_listing_differ() -> None:
    catalog = Catalog(6, 6, size=64)
    for index in range(6):
        photos = [catalog.render(index, photo).astype(float) for photo in range(6)]
        gaps = [np.abs(a - b).mean() for n, a in enumerate(photos) for b in photos[:n]]
        assert min(gaps) > 4.0


def test_listings_vary_in_every_attribute() -> None:
    listings = [Catalog(800, 1).listing(index) for index in range(800)]
    counts = {
        key: len({getattr(x, key) for x in listings}) for key in ("category", "fine_category", "color", "pattern")
    }
    assert counts == {"category": 11, "fine_category": 45, "color": 14, "pattern": 14}


def test_captions_name_the_attributes_in_every_language() -> None:
    catalog = Catalog(60, 1)
    for index in range(60):
        listing = catalog.listing(index)
        assert set(listing.captions) == {"en", "de", "fr", "es", "it", "pt", "nl", "ja"}
        for word in (listing.color, listing.pattern, listing.material, listing.fine_category):
            assert word in listing.captions["en"]
        assert len(set(listing.captions.values())) == 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"listings": 0}, "at least 1 listing"),
        ({"photos": 0}, "at least 1 listing and 1 photo"),
        ({"size": 8}, "16 to 2048"),
        ({"size": 20_000}, "16 to 2048"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"split": "validation"}, "validation"),
    ],
)
def test_impossible_catalogues_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Catalog(**arguments)


def test_past_the_end_is_an_index_error() -> None:
    catalog = Catalog(2, 2, size=32)
    with pytest.raises(IndexError):
        catalog[4]
    with pytest.raises(IndexError):
        catalog.listing(2)
    with pytest.raises(IndexError):
        catalog.render(0, -1)
