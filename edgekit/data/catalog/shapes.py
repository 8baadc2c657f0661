"""The silhouettes of the catalogue: one row per fine category, drawn as a few polygons in colour slots.

Object coordinates run from -1 to 1, x to the right and y down. "half" outlines give the right side from top to
bottom and are mirrored; "soft" outlines are smoothed. Every row is bent by the same few continuous parameters
(`warp`), so two listings of one fine category differ in shape without any code of their own.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.data.catalog.silhouettes import SILHOUETTES

__all__ = [
    "ACCENT",
    "BODY",
    "DARK",
    "EMBLEMS",
    "SHAPES",
    "TRIM",
    "Part",
    "Points",
    "Shape",
    "emblem_outline",
    "outline",
    "outlines",
    "smooth",
    "warp",
]

Points = tuple[tuple[float, float], ...]

BODY, TRIM, ACCENT, DARK = 0, 1, 2, 3


class Part(NamedTuple):
    """One polygon: the slot that colours it, how `points` are to be read, and a width for bands."""

    slot: int
    kind: str
    points: Points
    width: float = 0.0


class Shape(NamedTuple):
    """A fine category: its category, its parts from back to front, and where an emblem sits (x, y, radius)."""

    category: str
    parts: tuple[Part, ...]
    emblem: tuple[float, float, float]


_SLOTS = {"body": BODY, "trim": TRIM, "accent": ACCENT, "dark": DARK}


def _parse(table: str) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for record in re.split(r"\n(?=\S)", table.strip()):
        head, *entries = re.split(r"\n  (?=\S)", record)
        name, category, place = head.split()
        x, y, radius = (float(value) for value in place.split(","))
        parts = []
        for entry in entries:
            slot, kind, *spots = entry.split()
            kind, _, width = kind.partition(":")
            points = tuple((float(px), float(py)) for px, py in (spot.split(",") for spot in spots))
            parts.append(Part(_SLOTS[slot], kind, points, float(width or 0)))
        shapes[name.replace("_", " ")] = Shape(category, tuple(parts), (x, y, radius))
    return shapes


SHAPES: dict[str, Shape] = _parse(SILHOUETTES)

EMBLEMS = ("none", "disc", "ring", "star", "heart", "triangle", "square", "cross", "moon", "bolt", "bars")


def smooth(points: NDArray[np.float64], steps: int = 5) -> NDArray[np.float64]:
    """A closed Catmull-Rom curve through `points` [N, 2], `steps` samples per side."""
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    p0, p1, p2, p3 = (np.roll(points, shift, axis=0) for shift in (1, 0, -1, -2))
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return curve.transpose(1, 0, 2).reshape(-1, 2)


def _dense(points: NDArray[np.float64], step: float = 0.25) -> NDArray[np.float64]:
    """The same closed outline with long sides cut, so that a bend of the plane bends them too."""
    out = []
    for a, b in zip(points, np.roll(points, -1, axis=0), strict=True):
        n = max(1, int(np.ceil(np.hypot(*(b - a)) / step)))
        out.append(a + (b - a) * np.arange(n)[:, None] / n)
    return np.concatenate(out)


def outline(part: Part) -> NDArray[np.float64]:
    """The part's polygon [N, 2] in object coordinates."""
    points = np.array(part.points, dtype=np.float64)
    if part.kind == "oval":
        angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)[:, None]
        return points[0] + points[1] * np.hstack([np.cos(angle), np.sin(angle)])
    if part.kind == "band":
        tangent = np.gradient(points, axis=0)
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) * (part.width / 2)
        return _dense(np.concatenate([points + normal, (points - normal)[::-1]]))
    if part.kind.endswith("half"):
        mirrored = points[::-1] * (-1, 1)
        points = np.concatenate([points, mirrored[mirrored[:, 0] < 0]])
    return smooth(points) if part.kind.startswith("soft") else _dense(points)


@cache
def outlines(fine_category: str) -> tuple[tuple[int, NDArray[np.float64]], ...]:
    """(slot, polygon [N, 2]) of a fine category, from back to front."""
    return tuple((part.slot, outline(part)) for part in SHAPES[fine_category].parts)


_CORNERS = {
    "triangle": "0,-1 .95,.75 -.95,.75",
    "square": "-.78,-.78 .78,-.78 .78,.78 -.78,.78",
    "cross": "-.33,-1 .33,-1 .33,-.33 1,-.33 1,.33 .33,.33 .33,1 -.33,1 -.33,.33 -1,.33 -1,-.33 -.33,-.33",
    "bolt": ".3,-1 -.65,.2 -.05,.2 -.3,1 .65,-.25 .05,-.25",
    "bars": "-.9,-.8 .9,-.8 .9,-.15 -.9,-.15 -.9,.15 .9,.15 .9,.8 -.9,.8 -.9,.15 -.9,-.15",
}


@cache
def emblem_outline(name: str) -> NDArray[np.float64]:
    """An emblem's polygon [N, 2] in a unit circle."""
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    if name == "disc":
        return 0.85 * circle
    if name == "ring":
        return np.concatenate([circle, circle[:1], 0.5 * circle[:1], 0.5 * circle[::-1]])
    if name == "moon":
        return np.concatenate([circle[4:29], (circle[4:29][::-1] * 0.75) + (0.45, 0)])
    if name == "star":
        spokes = np.linspace(-np.pi / 2, 1.5 * np.pi, 10, endpoint=False)
        return np.stack([np.cos(spokes), np.sin(spokes)], axis=1) * np.where(np.arange(10) % 2, 0.42, 1.05)[:, None]
    if name == "heart":
        y = -13 * np.cos(angle) + 5 * np.cos(2 * angle) + 2 * np.cos(3 * angle) + np.cos(4 * angle)
        return np.stack([16 * np.sin(angle) ** 3, y], axis=1) / 17
    corners = [point.split(",") for point in _CORNERS[name].split()]
    return np.array(corners, dtype=np.float64)


def warp(points: NDArray[np.float64], aspect: float, taper: float, bulge: float, lean: float) -> NDArray[np.float64]:
    """Bend object points [N, 2]: width over height, wider below, wider in the middle, leaning sideways."""
    x, y = points[:, 0], points[:, 1]
    width = np.sqrt(aspect) * (1 + taper * y) * (1 + bulge * (1 - y * y))
    return np.stack([x * width + lean * (y * y - 0.4), y / np.sqrt(aspect)], axis=1)
