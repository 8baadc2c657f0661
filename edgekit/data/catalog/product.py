"""One listing's identity, drawn once: a premultiplied RGBA canvas seen from the front in neutral light."""

from __future__ import annotations

import colorsys
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from edgekit.data.catalog.patterns import CANVAS, PATTERNS, material_tile, pattern_mask
from edgekit.data.catalog.shapes import ACCENT, BODY, DARK, EMBLEMS, SHAPES, TRIM, emblem_outline, outlines, warp

__all__ = ["COLORS", "MATERIALS_OF", "Color", "Identity", "Wish", "draw_product", "make_identity"]

Color = tuple[int, int, int]

COLORS: dict[str, Color] = {
    "red": (200, 40, 45),
    "orange": (236, 128, 38),
    "yellow": (240, 205, 60),
    "green": (62, 150, 70),
    "teal": (40, 150, 150),
    "light blue": (120, 180, 230),
    "blue": (45, 85, 190),
    "purple": (120, 65, 160),
    "pink": (238, 140, 175),
    "brown": (125, 78, 45),
    "beige": (215, 190, 150),
    "grey": (130, 132, 138),
    "black": (40, 40, 45),
    "white": (242, 240, 235),
}

MATERIALS_OF: dict[str, tuple[str, ...]] = {
    "clothing": ("cotton", "wool", "denim", "leather"),
    "shoes": ("cotton", "leather", "denim", "plastic"),
    "bags": ("cotton", "leather", "denim", "plastic"),
    "hats": ("cotton", "wool", "denim", "leather"),
    "kitchen": ("ceramic", "metal", "plastic", "wood"),
    "home": ("ceramic", "wood", "metal", "wool"),
    "furniture": ("wood", "leather", "metal", "plastic"),
    "electronics": ("plastic", "metal", "wood", "leather"),
    "music": ("wood", "metal", "plastic", "leather"),
    "toys": ("plastic", "wood", "wool", "cotton"),
    "outdoor": ("cotton", "plastic", "metal", "denim"),
}


class Identity(NamedTuple):
    """Everything that all photos of a listing share."""

    fine_category: str
    material: str
    pattern: str
    color: str
    primary: Color
    secondary: Color
    trim: Color
    accent: Color
    repeats: float
    angle: float
    shift: tuple[float, float]
    emblem: str
    emblem_size: float
    shape: tuple[float, float, float, float]


class Wish(NamedTuple):
    """What an identity is to be; None leaves it to chance."""

    fine_category: str | None = None
    material: str | None = None
    pattern: str | None = None
    color: str | None = None
    secondary: str | None = None


_ANY = Wish()


@cache
def _apart(a: str, b: str) -> bool:
    weights = (0.8, 1.2, 0.6)
    return sum(w * abs(p - q) for w, p, q in zip(weights, COLORS[a], COLORS[b], strict=True)) > 130


def _shade(color: Color, rng: np.random.Generator) -> Color:
    hue, saturation, value = colorsys.rgb_to_hsv(*(c / 255 for c in color))
    dh, ds, dv = rng.uniform(-1, 1, 3)
    red, green, blue = colorsys.hsv_to_rgb(
        (hue + 0.02 * dh) % 1, min(1, saturation * (1 + 0.15 * ds)), min(1, value * (1 + 0.1 * dv))
    )
    return int(red * 255), int(green * 255), int(blue * 255)


def _other(rng: np.random.Generator, *taken: str) -> str:
    """A colour that stands apart from those already taken."""
    far = [name for name in COLORS if all(_apart(name, other) for other in taken)]
    return far[int(rng.integers(len(far)))] if far else ("white" if "white" not in taken else "black")


def make_identity(rng: np.random.Generator, wish: Wish = _ANY) -> Identity:
    """Draw one listing's identity from `rng`, as far as `wish` leaves it open."""
    drawn = list(SHAPES)[int(rng.integers(len(SHAPES)))]
    fine = wish.fine_category or drawn
    materials = MATERIALS_OF[SHAPES[fine].category]
    drawn = list(COLORS)[int(rng.integers(len(COLORS)))]
    primary = wish.color or drawn
    drawn = _other(rng, primary)
    secondary = wish.secondary or drawn
    trim = _other(rng, primary) if rng.random() < 0.8 else primary
    accent = _other(rng, primary, secondary)
    material = materials[int(rng.integers(len(materials)))]
    pattern = list(PATTERNS)[int(rng.integers(len(PATTERNS)))]
    return Identity(
        fine_category=fine,
        material=wish.material or material,
        pattern=wish.pattern or pattern,
        color=primary,
        primary=_shade(COLORS[primary], rng),
        secondary=_shade(COLORS[secondary], rng),
        trim=_shade(COLORS[trim], rng),
        accent=_shade(COLORS[accent], rng),
        repeats=float(np.exp(rng.uniform(np.log(2.5), np.log(6.5)))),
        angle=float(rng.uniform(0, np.pi)),
        shift=(float(rng.uniform(-0.5, 0.5)), float(rng.uniform(-0.5, 0.5))),
        emblem=EMBLEMS[int(rng.integers(len(EMBLEMS)))],
        emblem_size=float(rng.uniform(0.75, 1.15)),
        shape=(
            float(np.exp(rng.uniform(-0.3, 0.3))),
            float(rng.uniform(-0.18, 0.18)),
            float(rng.uniform(-0.12, 0.16)),
            float(rng.uniform(-0.12, 0.12)),
        ),
    )


def draw_product(identity: Identity) -> Image.Image:
    """The product on a transparent canvas: mode RGBa (premultiplied), CANVAS x CANVAS, the object within -1..1."""
    x, y, radius = SHAPES[identity.fine_category].emblem
    drawn = list(outlines(identity.fine_category))
    if identity.emblem != "none":
        drawn.append((ACCENT, emblem_outline(identity.emblem) * (radius * identity.emblem_size) + (x, y)))
    points = warp(np.concatenate([polygon for _, polygon in drawn]), *identity.shape)
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - (low + high) / 2) * (1.94 / (high - low).max())
    pixels = ((points + 1) * CANVAS).tolist()

    coverage = Image.new("CMYK", (2 * CANVAS, 2 * CANVAS))
    pen = ImageDraw.Draw(coverage)
    inks = {BODY: (255, 0, 0, 0), TRIM: (0, 255, 0, 0), ACCENT: (0, 0, 255, 0), DARK: (0, 0, 0, 255)}
    start = 0
    for slot, polygon in drawn:
        stop = start + len(polygon)
        pen.polygon([tuple(point) for point in pixels[start:stop]], fill=inks.get(slot, (0, 0, 0, 0)))
        start = stop
    masks = coverage.reduce(2).split()

    size = (CANVAS, CANVAS)
    canvas = Image.new("RGB", size, identity.primary)
    if identity.pattern != "plain":
        second = pattern_mask(identity.pattern, identity.repeats, identity.angle, identity.shift)
        canvas.paste(identity.secondary, mask=second)
    dark = tuple(c // 4 for c in identity.trim)
    for color, mask in zip((identity.trim, identity.accent, dark), masks[1:], strict=True):
        if box := mask.getbbox():
            canvas.paste(color, box, mask.crop(box))
    canvas = ImageChops.multiply(canvas, material_tile(identity.material))
    alpha = ImageChops.add(ImageChops.add(masks[0], masks[1]), ImageChops.add(masks[2], masks[3]))
    canvas.putalpha(alpha)
    return canvas.convert("RGBa")
