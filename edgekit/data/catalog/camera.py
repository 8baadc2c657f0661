"""The camera: where it stands, and how it reads a product canvas through a homography."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Array", "Levels", "Words", "flatten", "place_camera", "shoot"]

Array = NDArray[np.uint8]
Words = NDArray[np.uint32]
Levels = tuple[Words, ...]


def place_camera(rng: np.random.Generator, review: bool) -> NDArray[np.float64]:
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


def flatten(product: Image.Image) -> Levels:
    """A product canvas (mode RGBa) at full and half size, one uint32 per pixel, as the camera reads it."""
    return tuple(
        np.frombuffer(image.tobytes(), "<u4").astype(np.uint32).reshape(image.size[::-1])
        for image in (product, product.reduce(2))
    )


def _project(words: Words, inverse: NDArray[np.float64], width: int, height: int) -> Words:
    """`words` [H, W] seen through the homography photo -> source, sampled bilinearly: uint32 [height, width].

    Fixed point with two 8-bit channels per multiplication; about twice as fast as Image.transform.
    """
    rows, columns = words.shape
    matrix = inverse.astype(np.float32)
    u = np.arange(width, dtype=np.float32) + np.float32(0.5)
    v = (np.arange(height, dtype=np.float32) + np.float32(0.5))[:, None]
    depth = 256 / (matrix[2, 0] * u + (matrix[2, 1] * v + matrix[2, 2]))
    x = ((matrix[0, 0] * u + (matrix[0, 1] * v + matrix[0, 2])) * depth - 128).astype(np.int32)
    y = ((matrix[1, 0] * u + (matrix[1, 1] * v + matrix[1, 2])) * depth - 128).astype(np.int32)
    np.clip(x, 0, 256 * (columns - 1) - 1, out=x)
    np.clip(y, 0, 256 * (rows - 1) - 1, out=y)
    right, down = (x & 255).astype(np.uint32), (y & 255).astype(np.uint32)
    left, up = 256 - right, 256 - down
    at, flat = (y >> 8) * columns + (x >> 8), words.ravel()
    corners = [flat.take(at + step) for step in (0, 1, columns, columns + 1)]
    low, byte = np.uint32(0x00FF00FF), np.uint32(8)
    halves = []
    for shift in (np.uint32(0), byte):
        a, b, c, d = ((corner >> shift) & low for corner in corners)
        above, below = (((a * left + b * right) >> byte) & low), (((c * left + d * right) >> byte) & low)
        halves.append(((above * up + below * down) >> byte) & low)
    return halves[0] | (halves[1] << byte)


def shoot(words: Words, inverse: NDArray[np.float64], size: int) -> Array:
    """The product in the photo: premultiplied uint8 [size, size, 4], computed only where it lands."""
    used = words != 0
    across, along = np.flatnonzero(used.any(axis=0)), np.flatnonzero(used.any(axis=1))
    left, right, top, bottom = across[0], across[-1] + 1, along[0], along[-1] + 1
    spots = np.linalg.inv(inverse) @ np.array([[left, right, right, left], [top, top, bottom, bottom], [1, 1, 1, 1]])
    spots = spots[:2] / spots[2]
    x0, y0 = np.clip(np.floor(spots.min(axis=1)).astype(int) - 1, 0, size - 1).tolist()
    x1, y1 = np.clip(np.ceil(spots.max(axis=1)).astype(int) + 1, (x0 + 1, y0 + 1), size).tolist()
    seen = _project(words, inverse @ np.array([[1, 0, x0], [0, 1, y0], [0, 0, 1]]), x1 - x0, y1 - y0)
    pixels = np.zeros((size, size, 4), np.uint8)
    pixels[y0:y1, x0:x1] = seen.astype("<u4").view(np.uint8).reshape(y1 - y0, x1 - x0, 4)
    return pixels
