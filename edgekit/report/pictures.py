"""Pictures small enough to lie in a page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

__all__ = ["SIDE", "thumbnail"]

SIDE = 144  # pixels of the longer side
_QUALITY = 78


def thumbnail(pixels: np.ndarray) -> str:
    """An image uint8 [H,W,3] as the data URI of a JPEG of at most SIDE x SIDE pixels, below 45 kB."""
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
