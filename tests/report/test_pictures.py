"""Pictures in a page are small, whatever came in."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from edgekit.report.pictures import SIDE, thumbnail


@pytest.mark.parametrize(("height", "width", "size"), [(300, 600, (SIDE, 72)), (8, 4, (4, 8)), (1000, 1, (1, SIDE))])
def test_a_thumbnail_keeps_its_shape_and_is_never_enlarged(height: int, width: int, size: tuple[int, int]) -> None:
    pixels = np.full((height, width, 3), (200, 30, 60), np.uint8)
    uri = thumbnail(pixels)
    head, data = uri.split(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert (image.format, image.size) == ("JPEG", size)
        assert np.abs(np.asarray(image).astype(int) - (200, 30, 60)).max() <= 4


def test_even_noise_is_small_and_the_bytes_are_the_same_each_time() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    assert len(thumbnail(noise)) < 45_000
    assert thumbnail(noise) == thumbnail(noise)
