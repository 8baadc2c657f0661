"""One photo of a product: background, shadow, camera, occlusion, blur, light and noise, none of them identity.

Every random draw happens before anything depends on the output size, so a photo is the same picture at every size.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from edgekit.catalog.patterns import CANVAS

Array = NDArray[np.uint8]
FloatArray = NDArray[np.float32]

STYLES = ("seller", "review")

_TILE = 288
_CLEAN, _CLUTTER, _LIGHTS = 10, 36, 16


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
    for index in range(_CLEAN if style == "seller" else _CLUTTER):
        if style == "seller":
            light = 225 + 14 * _soft_noise(rng, 3, _TILE) - 22 * np.hypot(x, y) + (8 * np.sin(16 * x + 2 * _soft_noise(rng, 4, _TILE)) if index % 3 == 2 else 0)  # fmt: skip
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
                corners = rng.uniform(-52, 52, (int(rng.integers(3, 6)), 2)) + (cx, cy)
                pen.polygon([tuple(corner) for corner in corners.tolist()], fill=fill)
        grain = 10 * rng.standard_normal((_TILE, _TILE, 1))
        tiles.append(Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(1)))  # fmt: skip
    return tuple(tiles)


@cache
def _lights(size: int) -> FloatArray:
    """Smooth brightness maps [_LIGHTS, size, size, 1] around 1: side light, falloff, window shadows."""
    rng = np.random.default_rng(13)
    axis = np.linspace(-1, 1, 64, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    maps = []
    for index in range(_LIGHTS):
        angle = rng.uniform(0, 2 * np.pi)
        along = np.cos(angle) * x + np.sin(angle) * y
        light = 1 + rng.uniform(0.05, 0.3) * along - rng.uniform(0, 0.15) * (x * x + y * y)
        if index % 4 == 3:
            light -= 0.22 / (1 + np.exp(-14 * (along - rng.uniform(-0.4, 0.4))))
        image = Image.fromarray(light.astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC)
        maps.append(np.asarray(image)[..., None])
    return np.stack(maps)


@cache
def _noise(size: int) -> FloatArray:
    """Zero-mean sensor noise [2 * size, 2 * size, 1] of unit deviation, periodic in `size`."""
    noise = np.random.default_rng(17).standard_normal((CANVAS, CANVAS)).astype(np.float32)
    if size != CANVAS:
        noise = np.asarray(Image.fromarray(noise).resize((size, size), Image.Resampling.BILINEAR))
    return np.tile(noise, (2, 2))[..., None]


def _camera(rng: np.random.Generator, review: bool) -> NDArray[np.float64]:
    """Homography [3, 3] from the unit square of the photo to the canvas plane (-1..1)."""
    strength = 1.0 if review else 0.35
    roll, yaw, pitch = rng.uniform(-1, 1, 3) * strength * (0.22, 0.35, 0.28)
    zoom = rng.uniform(0.78, 1.02) if review else rng.uniform(0.78, 0.92)
    shift = rng.uniform(-1, 1, 2) * (0.12 if review else 0.05)
    cr, sr, cy, sy, cp, sp = np.cos(roll), np.sin(roll), np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    turn = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    turn = turn @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]) @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    depth = 3.2
    view = np.array([[depth * zoom, 0, 0], [0, depth * zoom, 0], [0, 0, 1.0]])
    forward = view @ np.column_stack([turn[:, 0], turn[:, 1], (0, 0, depth)])
    # photo unit square: u = (x + 1 + shift) / 2
    forward = np.array([[0.5, 0, 0.5 + shift[0] / 2], [0, 0.5, 0.5 + shift[1] / 2], [0, 0, 1]]) @ forward
    return np.linalg.inv(forward)


def _occluder(rng: np.random.Generator, pen: ImageDraw.ImageDraw, size: int) -> None:
    """A finger, a box corner or a strap at the picture's edge."""
    kind, side = int(rng.integers(3)), rng.uniform(0, 2 * np.pi)
    fill = tuple(int(c) for c in rng.uniform(30, 230, 3))
    reach, width = rng.uniform(0.3, 0.42), rng.uniform(0.05, 0.1)
    inward = -np.array([np.cos(side), np.sin(side)])
    across = np.array([-inward[1], inward[0]]) * width
    tip = 0.5 - inward * reach
    tail = 0.5 - inward * 0.9
    if kind == 0:
        fill = (205, 150, 120)
        corners = [tail - across, tip - across, tip - across * 0.6 + inward * width, tip + across * 0.6 + inward * width, tip + across, tail + across]  # fmt: skip
    elif kind == 1:
        corners = [tail - 3 * across, tip - 0.5 * across, tip + 0.5 * across, tail + 3 * across]
    else:
        middle = 0.5 - inward * (reach - 0.02)
        corners = [middle - across * 9 - inward * width, middle - across * 9, middle + across * 9, middle + across * 9 - inward * width]  # fmt: skip
    pen.polygon([(float(px * size), float(py * size)) for px, py in corners], fill=fill)


def photograph(product: Image.Image, rng: np.random.Generator, style: str, size: int) -> Array:
    """Photograph a product canvas (mode RGBa) in `style`; uint8 [size, size, 3] RGB."""
    review = style == "review"
    tiles = _backgrounds(style)
    tile = tiles[int(rng.integers(len(tiles)))]
    span = rng.uniform(0.45, 1.0) * _TILE
    left, top = rng.uniform(0, 1, 2) * (_TILE - span)
    tint = rng.uniform(0.75, 1.15) + rng.uniform(-0.1, 0.1, 3) if review else rng.uniform(0.88, 1.06, 3)
    flip = int(rng.integers(4))
    camera = _camera(rng, review)
    drop = rng.uniform(-0.06, 0.06, 2) + (0, 0.03)
    darkness = rng.uniform(0.15, 0.55)
    occluded = rng.random() < (0.35 if review else 0.05)
    occlusion = np.random.default_rng(rng.integers(2**63))
    blur = rng.uniform(0.002, 0.007) if review and rng.random() < 0.4 else 0.0
    warmth, green, exposure = rng.uniform(-1, 1, 3) * ((0.16, 0.06, 0.24) if review else (0.05, 0.02, 0.1))
    contrast = rng.uniform(0.8, 1.08) if review else rng.uniform(0.88, 1.05)
    light = int(rng.integers(_LIGHTS))
    light_strength = rng.uniform(0.4, 1.0) if review else rng.uniform(0.2, 0.6)
    grain = rng.uniform(1, 7) if review else rng.uniform(0, 2.5)
    grain_at = rng.uniform(0, 1, 2)

    scale = np.array([[CANVAS / 2, 0, CANVAS / 2], [0, CANVAS / 2, CANVAS / 2], [0, 0, 1]])
    inverse = scale @ camera @ np.diag([1 / size, 1 / size, 1])
    inverse = (inverse / inverse[2, 2]).ravel()[:8]
    source = product
    if size <= 144:
        source = product.reduce(2)
        inverse[:6] /= 2
    seen = source.transform((size, size), Image.Transform.PERSPECTIVE, tuple(inverse.tolist()), Image.Resampling.BILINEAR)  # fmt: skip
    pixels = np.frombuffer(seen.tobytes(), np.uint8).reshape(size, size, 4)
    alpha = Image.fromarray(pixels[..., 3])

    ground = tile.resize((size, size), Image.Resampling.BILINEAR, (left, top, left + span, top + span))
    if flip:
        ground = ground.transpose((Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180)[flip - 1])  # fmt: skip
    small = np.asarray(alpha.resize((28, 28), Image.Resampling.BOX).filter(ImageFilter.BoxBlur(1)))
    moved = Image.fromarray(small).transform((28, 28), Image.Transform.AFFINE, (1, 0, -28 * drop[0], 0, 1, -28 * drop[1]), Image.Resampling.BILINEAR)  # fmt: skip
    shadow = np.asarray(moved.resize((size, size), Image.Resampling.BILINEAR), dtype=np.float32)
    clear = (1 - darkness / 255 * shadow) * (1 - pixels[..., 3] * np.float32(1 / 255))

    out = np.asarray(ground) * tint.astype(np.float32)
    out *= clear[..., None]
    out += pixels[..., :3]
    if occluded or blur:
        image = Image.fromarray(np.minimum(out, 255).astype(np.uint8))
        if occluded:
            _occluder(occlusion, ImageDraw.Draw(image), size)
        if blur:
            image = image.filter(ImageFilter.BoxBlur(blur * size))
        out = np.asarray(image, dtype=np.float32)
    gain = np.exp(np.array([warmth, green, -warmth]) + exposure).astype(np.float32) * np.float32(contrast)
    lift = np.float32(110 * (1 - contrast))
    shading = 1 + (_lights(size)[light] - 1) * np.float32(light_strength)
    out = out * (shading * gain)
    row, column = (grain_at * size).astype(int)
    out += _noise(size)[row : row + size, column : column + size] * np.float32(grain) + lift
    return np.clip(out, 0, 255, out=out).astype(np.uint8)
