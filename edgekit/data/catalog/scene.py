"""One photo of a product: background, shadow, camera, occlusion, blur, light and noise, none of them identity.

Every random draw happens before anything depends on the output size, so a photo is the same picture at every size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from edgekit.data.catalog.backdrops import GROUNDS, LIGHTS, backdrop, lights, noise_plane
from edgekit.data.catalog.camera import Array, Levels, place_camera, shoot
from edgekit.data.catalog.patterns import CANVAS

Draws = NDArray[np.float64]

__all__ = ["Shot", "draw_shot", "photograph"]

_EVEN = 0.06  # of the exposure, on either side: nobody calls such a photo dark or bright


def _occluder(rng: np.random.Generator, pen: ImageDraw.ImageDraw, size: int) -> None:
    """A finger, a box corner or a strap at the picture's edge."""
    kind, side = int(rng.integers(3)), rng.uniform(0, 2 * np.pi)
    fill = tuple(int(c) for c in rng.uniform(30, 230, 3))
    reach, width = rng.uniform(0.3, 0.42), rng.uniform(0.05, 0.1)
    inward = -np.array([np.cos(side), np.sin(side)])
    across = np.array([-inward[1], inward[0]]) * width
    tip, tail = 0.5 - inward * reach, 0.5 - inward * 0.9
    if kind == 0:
        fill = (205, 150, 120)
        left, right = tip - across * 0.6 + inward * width, tip + across * 0.6 + inward * width
        corners = [tail - across, tip - across, left, right, tip + across, tail + across]
    elif kind == 1:
        corners = [tail - 3 * across, tip - 0.5 * across, tip + 0.5 * across, tail + 3 * across]
    else:
        middle = 0.5 - inward * (reach - 0.02)
        left, right = middle - across * 9, middle + across * 9
        corners = [left - inward * width, left, right, right - inward * width]
    pen.polygon([(float(px * size), float(py * size)) for px, py in corners], fill=fill)


def _shadow(alpha: Array, drop: Draws) -> Array:
    """The soft shadow, uint8 [size,size], of what `alpha` covers, moved by `drop` of it: right, down."""
    small = Image.fromarray(alpha).resize((28, 28), Image.Resampling.BOX).filter(ImageFilter.BoxBlur(1))
    moved = small.transform(
        (28, 28), Image.Transform.AFFINE, (1, 0, -28 * drop[0], 0, 1, -28 * drop[1]), Image.Resampling.BILINEAR
    )
    return np.asarray(moved.resize(alpha.shape[::-1], Image.Resampling.BILINEAR))


class Shot(NamedTuple):
    """All that chance decides of one photo."""

    style: str
    ground: int  # which background
    span: float  # share of the background's width that is seen
    corner: Draws  # of what is seen: left, top, as shares of what is not
    tint: Draws  # of the background, per channel
    flip: int
    camera: Draws
    drop: Draws  # of the shadow: right, down
    darkness: float
    occluded: bool
    occlusion: int  # seed of what hides a part
    blur: float
    warmth: float
    green: float
    exposure: float  # natural logarithm
    contrast: float
    light: int  # which light map
    light_strength: float
    grain: float
    grain_at: Draws

    @property
    def lighting(self) -> str:
        """How the exposure looks: dark, even or bright."""
        return "dark" if self.exposure < -_EVEN else "bright" if self.exposure > _EVEN else "even"


def draw_shot(rng: np.random.Generator, style: str) -> Shot:
    """What chance decides of a photo in `style`; the order of the draws is part of the catalogue."""
    review = style == "review"
    ground, span, corner = int(rng.integers(GROUNDS[style])), rng.uniform(0.45, 1.0), rng.uniform(0, 1, 2)
    tint = rng.uniform(0.75, 1.15) + rng.uniform(-0.1, 0.1, 3) if review else rng.uniform(0.88, 1.06, 3)
    flip = int(rng.integers(4))
    camera = place_camera(rng, review)
    drop = rng.uniform(-0.06, 0.06, 2) + np.array([0, 0.03])
    darkness = rng.uniform(0.15, 0.55)
    occluded = rng.random() < (0.35 if review else 0.05)
    occlusion = int(rng.integers(2**63))
    blur = rng.uniform(0.002, 0.007) if review and rng.random() < 0.4 else 0.0
    warmth, green, exposure = rng.uniform(-1, 1, 3) * ((0.16, 0.06, 0.24) if review else (0.05, 0.02, 0.1))
    contrast = rng.uniform(0.8, 1.08) if review else rng.uniform(0.88, 1.05)
    light = int(rng.integers(LIGHTS))
    light_strength = rng.uniform(0.4, 1.0) if review else rng.uniform(0.2, 0.6)
    grain = rng.uniform(1, 7) if review else rng.uniform(0, 2.5)
    return Shot(
        style, ground, span, corner, tint, flip, camera, drop, darkness, occluded, occlusion, blur, warmth, green,
        exposure, contrast, light, light_strength, grain, rng.uniform(0, 1, 2),
    )  # fmt: skip


def photograph(product: Levels, rng: np.random.Generator, style: str, size: int) -> Array:
    """Photograph a flattened product in `style`; uint8 [size, size, 3] RGB."""
    shot = draw_shot(rng, style)
    tile = backdrop(style, size > 144, shot.ground)
    span = shot.span * tile.width
    left, top = shot.corner * (tile.width - span)

    scale = np.array([[CANVAS / 2, 0, CANVAS / 2], [0, CANVAS / 2, CANVAS / 2], [0, 0, 1]])
    inverse = scale @ shot.camera @ np.diag([1 / size, 1 / size, 1])
    level = 1 if size <= 144 else 0
    inverse[:2] /= 1 + level
    pixels = shoot(product[level], inverse, size)

    ground = tile.transform((size, size), Image.Transform.EXTENT, (left, top, left + span, top + span))
    if shot.flip:
        ground = ground.transpose(
            (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180)[shot.flip - 1]
        )
    shadow = _shadow(pixels[..., 3], shot.drop)
    clear = (1 - np.float32(shot.darkness / 255) * shadow) * (1 - np.float32(1 / 255) * pixels[..., 3])

    # Planes of one channel stay in cache and avoid numpy's slow inner loops of length 3.
    behind = np.asarray(ground)
    planes = [behind[..., c] * np.float32(shot.tint[c]) * clear + pixels[..., c] for c in range(3)]
    if shot.occluded or shot.blur:
        image = Image.merge("RGB", [Image.fromarray(np.minimum(plane, 255).astype(np.uint8)) for plane in planes])
        if shot.occluded:
            _occluder(np.random.default_rng(shot.occlusion), ImageDraw.Draw(image), size)
        if shot.blur:
            image = image.filter(ImageFilter.BoxBlur(shot.blur * size))
        planes = [np.asarray(band, dtype=np.float32) for band in image.split()]
    gain = np.exp(np.array([shot.warmth, shot.green, -shot.warmth]) + shot.exposure).astype(np.float32) * np.float32(
        shot.contrast
    )
    shading = np.float32(1 - shot.light_strength) + lights(size)[shot.light] * np.float32(shot.light_strength)
    row, column = (shot.grain_at * size).astype(int)
    floor = noise_plane(size)[row : row + size, column : column + size] * np.float32(shot.grain) + np.float32(
        110 * (1 - shot.contrast)
    )
    out = np.empty((size, size, 3), np.uint8)
    for c, plane in enumerate(planes):
        plane = plane * (shading * gain[c])
        plane += floor
        out[..., c] = np.clip(plane, 0, 255, out=plane)
    return out
