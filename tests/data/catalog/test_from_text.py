"""Photos of what a text describes."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.data.catalog import Catalog
from edgekit.data.catalog.captions import LANGUAGES
from edgekit.data.catalog.from_text import draw_text, wish_of
from edgekit.data.catalog.product import Wish, make_identity
from edgekit.data.catalog.reading import Reading


def test_a_text_gives_one_photo_for_each_seed_and_language() -> None:
    text = "red camera"
    first = draw_text(text, "en", 0, 64)
    assert first is not None
    assert (first.shape, first.dtype) == ((64, 64, 3), np.uint8)
    assert np.array_equal(first, np.asarray(draw_text(text, "en", 0, 64)))
    for other in (
        draw_text(text, "en", 1, 64),
        draw_text("camera, red", "en", 0, 64),
        draw_text("camera", "nl", 0, 64),
    ):
        assert other is not None
        assert not np.array_equal(first, other)


def test_no_photo_of_the_gallery_is_drawn_again() -> None:
    catalog = Catalog(12, 4, size=48)
    photos = {catalog.render(listing, photo).tobytes() for listing in range(12) for photo in range(4)}
    for listing in range(12):
        for language in LANGUAGES:
            drawn = draw_text(catalog.listing(listing).captions[language], language, 0, 48)
            assert drawn is not None
            assert drawn.tobytes() not in photos


def test_what_is_not_understood_is_not_drawn() -> None:
    assert draw_text("a nice red thing", "en") is None
    with pytest.raises(KeyError):
        draw_text("camera", "xx")


def test_what_the_text_says_is_kept_and_the_rest_is_free() -> None:
    wish = wish_of(Reading("chair", ("red", "white"), "striped", "metal"))
    assert wish == Wish("chair", "metal", "striped", "red", "white")
    made = [make_identity(np.random.default_rng(seed), wish) for seed in range(20)]
    assert {(one.fine_category, one.material, one.pattern, one.color) for one in made} == {
        ("chair", "metal", "striped", "red")
    }
    assert len({one.shape for one in made}) == 20
    open_ = [make_identity(np.random.default_rng(seed), Wish("chair")) for seed in range(40)]
    assert len({one.color for one in open_}) > 5
    assert {one.material for one in open_} == {"wood", "leather", "metal", "plastic"}
    assert make_identity(np.random.default_rng(3)) == make_identity(np.random.default_rng(3), Wish())
