"""What does not belong to the product: backgrounds, light maps and sensor noise, made once per process."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from edgekit.data.catalog.patterns import CANVAS

__all__ = ["GROUNDS", "LIGHTS", "STYLES", "FloatArray", "backdrop", "lights", "noise_plane"]

FloatArray = NDArray[np.float32]

STYLES = ("seller", "review")

GROUNDS = {"seller": 10, "review": 36}
LIGHTS = 16

_TILE = 288


def _soft_noise(rng: np.random.Generator, cells: int, size: int) -> FloatArray:
    coarse = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))


@cache
def _backgrounds(style: str) -> tuple[Image.Image, ...]:
    """Texture tiles [_TILE, _TILE] RGB: sweeps and table tops for sellers, cluttered rooms for reviewers."""
    rng = np.random.default_rng([11, STYLES.index(style)])
    axis = np.linspace(-1, 1, _TILE, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    tiles = []
    for index in range(GROUNDS[style]):
        if style == "seller":
            light = (
                225
                + 14 * _soft_noise(rng, 3, _TILE)
                - 22 * np.hypot(x, y)
                + (8 * np.sin(16 * x + 2 * _soft_noise(rng, 4, _TILE)) if index % 3 == 2 else 0)
            )
            tile = np.clip(light[..., None] + rng.uniform(-12, 12, 3), 0, 255)
            tiles.append(Image.fromarray(tile.astype(np.uint8)))
            continue
        base = rng.uniform(60, 210) + rng.uniform(-30, 30, 3)
        image = Image.fromarray(np.clip(base + 18 * _soft_noise(rng, 5, _TILE)[..., None], 0, 255).astype(np.uint8))
        pen = ImageDraw.Draw(image)
        kind = index % 4
        if kind == 0:
            step = int(rng.integers(24, 60))
            for offset in range(0, _TILE, step):
                shade = tuple(int(c) for c in np.clip(base + rng.uniform(-35, 35), 0, 255))
                pen.rectangle((offset, 0, offset + step - 3, _TILE), fill=shade)
        elif kind == 1:
            step = int(rng.integers(30, 70))
            other = tuple(int(c) for c in base + rng.uniform(-30, 40))
            for row in range(_TILE // step + 1):
                for column in range(_TILE // step + 1):
                    if (row + column) % 2:
                        pen.rectangle((column * step, row * step, (column + 1) * step, (row + 1) * step), fill=other)
        for _ in range(int(rng.integers(3, 12))):
            cx, cy = rng.uniform(0, _TILE, 2)
            fill = tuple(int(c) for c in np.clip(rng.uniform(40, 220) + rng.uniform(-60, 60, 3), 0, 255))
            if rng.random() < 0.4:
                rx, ry = rng.uniform(8, 46, 2)
                pen.ellipse((cx - rx, cy - ry, cx + rx, cy + ry), fill=fill)
            else:
                corners = rng.uniform(-52, 52, (int(rng.integers(3, 6)), 2)) + np.array([cx, cy])
                pen.polygon([tuple(corner) for corner in corners.tolist()], fill=fill)
        grainy = np.asarray(image) + 10 * rng.standard_normal((_TILE, _TILE, 1))
        tiles.append(Image.fromarray(np.clip(grainy, 0, 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(1)))
    return tuple(tiles)


@cache
def backdrop(style: str, sharp: bool, index: int) -> Image.Image:
    """A background, enlarged or reduced so that nearest-neighbour sampling neither blocks nor sparkles."""
    side = _TILE * 3 // 2 if sharp else _TILE * 3 // 4
    return _backgrounds(style)[index].resize((side, side), Image.Resampling.BICUBIC)


@cache
def lights(size: int) -> FloatArray:
    """Smooth brightness maps [LIGHTS, size, size] around 1: side light, falloff, window shadows."""
    rng = np.random.default_rng(13)
    axis = np.linspace(-1, 1, 64, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    maps = []
    for index in range(LIGHTS):
        angle = rng.uniform(0, 2 * np.pi)
        along = np.cos(angle) * x + np.sin(angle) * y
        light = 1 + rng.uniform(0.05, 0.3) * along - rng.uniform(0, 0.15) * (x * x + y * y)
        if index % 4 == 3:
            light -= 0.22 / (1 + np.exp(-14 * (along - rng.uniform(-0.4, 0.4))))
        image = Image.fromarray(light.astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC)
        maps.append(np.asarray(image))
    return np.stack(maps)


@cache
def noise_plane(size: int) -> FloatArray:
    """Zero-mean sensor noise [2 * size, 2 * size] of unit deviation, periodic in `size`."""
    noise = np.random.default_rng(17).standard_normal((CANVAS, CANVAS)).astype(np.float32)
    if size != CANVAS:
        noise = np.asarray(Image.fromarray(noise).resize((size, size), Image.Resampling.BILINEAR))
    return np.tile(noise, (2, 2))
