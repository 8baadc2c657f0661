"""Photos of many kinds for a page to search, and the exported models and the runtime that it is made with."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

__all__ = ["HOSTILE", "PLACE", "jpeg", "png", "write_photos"]

PLACE = b"48.8584 N"  # where a photo was taken, which must not get into the page
# What a page, a script, a terminal or a reader could take for something else.
HOSTILE = (
    "<img src=x onerror=document.title='owned'>.png",
    "a\"b'c&lt;`${1+1}`{{ 7*7 }}.png",
    "\u202egnp.exe.png",
    "über ☕ %2e%2e%2f #?.png",
    "line\nbreak.png",
)


def _pixels(seed: int, height: int, width: int) -> np.ndarray:
    """Smooth colours and a few hard shapes: a photo as far as a decoder is concerned."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    pixels = np.array(small.resize((width, height), Image.Resampling.BICUBIC))
    for _ in range(5):
        top, left = int(random.integers(0, height // 2)), int(random.integers(0, width // 2))
        pixels[top : top + height // 4, left : left + width // 4] = random.integers(0, 256, 3)
    return pixels


def jpeg(seed: int, height: int = 120, width: int = 150, orientation: int = 1) -> bytes:
    """A JPEG with an EXIF that says how it lies and where it was taken."""
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    exif[0x010E] = PLACE.decode()
    Image.fromarray(_pixels(seed, height, width)).save(stream, "JPEG", quality=92, exif=exif, comment=PLACE)
    return stream.getvalue()


def png(seed: int, height: int = 120, width: int = 150) -> bytes:
    """A PNG with a text in it."""
    stream, texts = io.BytesIO(), PngImagePlugin.PngInfo()
    texts.add_text("place", PLACE.decode())
    Image.fromarray(_pixels(seed, height, width)).save(stream, "PNG", pnginfo=texts)
    return stream.getvalue()


def write_photos(folder: Path) -> Path:
    """40 photos: JPEGs that lie in all eight ways, of several sizes, and PNGs, five of which have hostile names."""
    for seed in range(24):
        path = folder / ("boots" if seed % 2 else "bags") / f"{seed:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(seed, 90 + 7 * seed, 260 - 6 * seed, 1 + seed % 8))
    for seed in range(24, 35):
        (folder / "bags" / f"{seed}.png").write_bytes(png(seed, 80 + seed, 200))
    for seed, name in enumerate(HOSTILE, start=35):
        (folder / name).write_bytes(png(seed))
    return folder
