"""A photo of what a text describes: what the text says is drawn, and chance decides the rest."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from edgekit.data.catalog.backdrops import STYLES
from edgekit.data.catalog.camera import flatten
from edgekit.data.catalog.catalog import RENDERER
from edgekit.data.catalog.product import Wish, draw_product, make_identity
from edgekit.data.catalog.reading import Reading, read_caption
from edgekit.data.catalog.scene import photograph

__all__ = ["draw_text", "wish_of"]

_STREAM = 2  # 0 and 1 are those of listings and of their photos, so no photo of the catalogue is drawn again


def wish_of(reading: Reading) -> Wish:
    """What a product is for the text to be true of it: the first colour is the body's, the second the pattern's."""
    colors = (*reading.colors, None, None)
    return Wish(reading.item, reading.material, reading.pattern, colors[0], colors[1])


def draw_text(text: str, language: str, seed: int = 0, size: int = 224) -> NDArray[np.uint8] | None:
    """A seller's photo uint8 [size, size, 3] RGB of what `text` describes; None where no item is understood.

    The same text, language and seed give the same photo. It is of no listing: shape, shades, trim, scale of the
    pattern, emblem and scene are drawn anew, and so is each attribute that the text leaves open.
    """
    reading = read_caption(text, language)
    if reading.item is None:
        return None
    words = int.from_bytes(hashlib.sha256(f"{language}\0{text}".encode("utf-8", "surrogatepass")).digest()[:8])
    rng = np.random.default_rng([RENDERER, _STREAM, seed, words])
    product = flatten(draw_product(make_identity(rng, wish_of(reading))))
    return photograph(product, rng, STYLES[0], size)
