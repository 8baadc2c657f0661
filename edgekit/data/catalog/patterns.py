"""Patterns and materials of a product, computed in object coordinates.

A pattern is a signed field over the object plane: above zero the second colour, below zero the first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["CANVAS", "MATERIALS", "PATTERNS", "Field", "material_tile", "pattern_mask"]

Field = NDArray[np.floating[Any]]

CANVAS = 224


def _wave(u: Field) -> Field:
    """A triangle wave of period 1 between -1 and 1, cheaper than a sine."""
    return 4 * np.abs(u - np.floor(u) - 0.5) - 1


def _cell(u: Field) -> Field:
    return u - np.floor(u) - np.float32(0.5)


def _hypot(u: Field, v: Field) -> Field:
    return np.asarray(np.hypot(u, v), np.float32)


PATTERNS: dict[str, Callable[[Field, Field], Field]] = {
    "plain": lambda u, v: np.full_like(u, -1),
    "striped": lambda u, v: _wave(u),
    "pinstriped": lambda u, v: _wave(u) - 0.55,
    "checked": lambda u, v: _wave(u) * _wave(v) * 2,
    "plaid": lambda u, v: np.maximum(_wave(u) - 0.2, _wave(v) - 0.55),
    "dotted": lambda u, v: 0.62 - 2 * _hypot(_cell(u), _cell(v)),
    "wavy": lambda u, v: _wave(u + 0.18 * _wave(v)),
    "zigzag": lambda u, v: _wave(u + 0.5 * np.abs(_wave(0.5 * v))) - 0.1,
    "diamond": lambda u, v: _wave(u) + _wave(v) - 0.25,
    "gridded": lambda u, v: np.maximum(_wave(u), _wave(v)) - 0.6,
    "ringed": lambda u, v: _wave(_hypot(u, v)),
    "two-tone": lambda u, v: 2 * u,
    "sunburst": lambda u, v: 1.5 * _wave(np.asarray(np.arctan2(v, u) * np.float32(5 / np.pi), np.float32)),
    "camouflage": lambda u, v: np.sin(4.1 * u + 2 * np.sin(2.3 * v)) + np.sin(3.7 * v + 2 * np.sin(1.9 * u)) - 0.2,
}

MATERIALS: tuple[str, ...] = ("cotton", "wool", "denim", "leather", "wood", "metal", "plastic", "ceramic")


@cache
def _plane() -> tuple[Field, Field]:
    axis = ((np.arange(CANVAS, dtype=np.float32) + 0.5) * (2 / CANVAS)) - 1
    x, y = np.meshgrid(axis, axis)
    return x, y


def pattern_mask(name: str, repeats: float, angle: float, shift: tuple[float, float]) -> Image.Image:
    """The second colour's mask, mode L, CANVAS x CANVAS; `repeats` periods cross the object, `angle` in radians."""
    x, y = _plane()
    scale = np.float32(repeats / 2)
    c, s = np.float32(np.cos(angle) * scale), np.float32(np.sin(angle) * scale)
    field = PATTERNS[name](c * x + s * y + np.float32(shift[0]), c * y - s * x + np.float32(shift[1]))
    sharp = np.float32(CANVAS / (8 * repeats))
    return Image.fromarray((np.clip(field * sharp + 0.5, 0, 1) * 255).astype(np.uint8))


def _softened(noise: Field, cells: tuple[int, int]) -> Field:
    """Noise of the canvas as that of so many cells (columns, rows), each the mean of what it covers."""
    small = Image.fromarray(noise).resize(cells, Image.Resampling.BOX)
    return np.asarray(small.resize((CANVAS, CANVAS), Image.Resampling.BICUBIC))


@cache
def material_tile(name: str) -> Image.Image:
    """How the material scatters light, mode RGB, multiplied over the drawn product."""
    x, y = _plane()
    rng = np.random.default_rng([7, MATERIALS.index(name)])
    noise = rng.standard_normal((CANVAS, CANVAS)).astype(np.float32)
    coarse, grain = _softened(noise, (28, 28)) * 8, _softened(noise, (CANVAS, 16)) * 4
    light = {
        "cotton": 0.95 + 0.012 * noise,
        "wool": 0.88 + 0.10 * _wave(14 * x) * _wave(9 * y + 0.5 * np.abs(_wave(7 * x))),
        "denim": 0.84 + 0.07 * _wave(24 * (x + y)) + 0.04 * noise,
        "leather": 0.86 + 0.07 * coarse,
        "wood": 0.84 + 0.09 * np.sin(18 * x + 1.5 * grain) + 0.05 * grain,
        "metal": 0.80 + 0.20 * np.sin(5 * x + 2 * y) * np.sin(2 * x - y + 0.4),
        "plastic": 0.90 + 0.10 * (np.hypot(x + 0.35, y + 0.4) < 0.28),
        "ceramic": 0.86 + 0.14 * np.clip(1 - 3 * np.abs(x + 0.3), 0, 1),
    }[name]
    volume = 1.0 - 0.16 * np.clip(0.8 * x + 0.5 * y, 0, 1) ** 2
    tile = (np.clip(light * volume, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(np.repeat(tile[..., None], 3, axis=2))
