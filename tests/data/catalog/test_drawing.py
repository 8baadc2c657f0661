"""Silhouettes, patterns and the camera."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgekit.data.catalog.camera import flatten, shoot
from edgekit.data.catalog.captions import COLOR_WORDS, ITEM_WORDS, MATERIAL_WORDS, PATTERN_WORDS
from edgekit.data.catalog.patterns import CANVAS, MATERIALS, PATTERNS, pattern_mask
from edgekit.data.catalog.product import COLORS, MATERIALS_OF, draw_product, make_identity
from edgekit.data.catalog.shapes import EMBLEMS, SHAPES, emblem_outline


def test_every_word_of_the_tables_is_translated() -> None:
    assert set(ITEM_WORDS) == set(SHAPES)
    assert set(COLOR_WORDS) == set(COLORS)
    assert set(PATTERN_WORDS) == set(PATTERNS)
    assert set(MATERIAL_WORDS) == set(MATERIALS)
    assert set(MATERIALS_OF) == {shape.category for shape in SHAPES.values()}


@pytest.mark.parametrize("name", list(SHAPES))
def test_silhouettes_are_recognisably_different_and_inside_the_canvas(name: str) -> None:
    identity = make_identity(np.random.default_rng(0))
    alpha = {
        other: np.asarray(draw_product(identity._replace(fine_category=other, emblem="none")).getchannel("a"))
        for other in (name, *(o for o in list(SHAPES)[:8] if o != name))
    }
    own = alpha.pop(name) > 127
    assert 0.08 < own.mean() < 0.95
    assert not own[0].any()
    assert not own[:, 0].any()
    for other in alpha.values():
        both, either = (own & (other > 127)).sum(), (own | (other > 127)).sum()
        assert both / either < 0.92


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_identity_draws_a_premultiplied_product(seed: int) -> None:
    image = draw_product(make_identity(np.random.default_rng(seed)))
    assert (image.mode, image.size) == ("RGBa", (CANVAS, CANVAS))
    pixels = np.frombuffer(image.tobytes(), np.uint8).reshape(CANVAS, CANVAS, 4).astype(int)
    assert (pixels[..., :3] <= pixels[..., 3:] + 1).all()
    assert pixels[..., 3].max() == 255


@pytest.mark.parametrize("name", [name for name in PATTERNS if name != "plain"])
def test_patterns_show_both_colours_and_turn_with_their_angle(name: str) -> None:
    mask = np.asarray(pattern_mask(name, 4.0, 0.3, (0.1, 0.2))) > 127
    assert 0.1 < mask.mean() < 0.9
    if name != "ringed":
        turned = np.asarray(pattern_mask(name, 4.0, 1.0, (0.1, 0.2))) > 127
        assert (mask != turned).mean() > 0.05


def test_emblems_fill_their_place() -> None:
    for name in EMBLEMS[1:]:
        outline = emblem_outline(name)
        assert 0.6 < np.abs(outline).max() <= 1.25


def test_camera_agrees_with_pillow() -> None:
    product = draw_product(make_identity(np.random.default_rng(5)))
    matrix = np.array([[1.05, 0.06, -4.0], [-0.04, 1.1, -6.0], [2e-4, 1e-4, 1.0]])
    seen = shoot(flatten(product)[0], matrix, CANVAS)
    method = Image.Transform.PERSPECTIVE
    wanted = product.transform(product.size, method, tuple(matrix.ravel()[:8]), Image.Resampling.BILINEAR)
    expected = np.frombuffer(wanted.tobytes(), np.uint8).reshape(seen.shape).astype(int)
    assert np.abs(seen - expected).mean() < 0.5
    assert np.abs(seen - expected).max() <= 4
