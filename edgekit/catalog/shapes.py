"""The silhouettes of the catalogue: one row per fine category, drawn as a few polygons in colour slots.

Object coordinates run from -1 to 1, x to the right and y down. "half" outlines give the right side from top to
bottom and are mirrored; "soft" outlines are smoothed. Every row is bent by the same few continuous parameters
(`warp`), so two listings of one fine category differ in shape without any code of their own.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Points = tuple[tuple[float, float], ...]

BODY, TRIM, ACCENT, DARK, HOLE = 0, 1, 2, 3, -1


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


def half(slot: int, *points: tuple[float, float]) -> Part:
    return Part(slot, "half", points)


def soft(slot: int, *points: tuple[float, float]) -> Part:
    return Part(slot, "softhalf", points)


def poly(slot: int, *points: tuple[float, float]) -> Part:
    return Part(slot, "poly", points)


def blob(slot: int, *points: tuple[float, float]) -> Part:
    return Part(slot, "soft", points)


def oval(slot: int, x: float, y: float, rx: float, ry: float) -> Part:
    return Part(slot, "oval", ((x, y), (rx, ry)))


def band(slot: int, width: float, *points: tuple[float, float]) -> Part:
    return Part(slot, "band", points, width)


def bar(slot: int, x0: float, y0: float, x1: float, y1: float) -> Part:
    return poly(slot, (x0, y0), (x1, y0), (x1, y1), (x0, y1))


SHAPES: dict[str, Shape] = {
    "t-shirt": Shape("clothing", (
        half(BODY, (0.0, -0.68), (0.22, -0.78), (0.5, -0.7), (0.98, -0.28), (0.76, 0.0), (0.52, -0.2), (0.52, 0.85), (0.0, 0.85)),
        poly(TRIM, (0.98, -0.28), (0.76, 0.0), (0.68, -0.07), (0.9, -0.36)),
        poly(TRIM, (-0.98, -0.28), (-0.76, 0.0), (-0.68, -0.07), (-0.9, -0.36)),
        band(TRIM, 0.1, (-0.24, -0.76), (-0.12, -0.62), (0.0, -0.58), (0.12, -0.62), (0.24, -0.76))), (0.0, 0.05, 0.3)),
    "hoodie": Shape("clothing", (
        soft(TRIM, (0.0, -0.98), (0.3, -0.92), (0.38, -0.6), (0.0, -0.45)),
        half(BODY, (0.0, -0.55), (0.5, -0.62), (0.72, -0.4), (0.95, 0.6), (0.72, 0.68), (0.5, 0.0), (0.52, 0.82), (0.0, 0.82)),
        oval(DARK, 0.0, -0.66, 0.18, 0.18),
        bar(TRIM, -0.52, 0.74, 0.52, 0.88), poly(TRIM, (0.95, 0.6), (0.72, 0.68), (0.7, 0.56), (0.92, 0.47)),
        poly(TRIM, (-0.95, 0.6), (-0.72, 0.68), (-0.7, 0.56), (-0.92, 0.47)),
        poly(TRIM, (-0.3, 0.3), (0.3, 0.3), (0.4, 0.62), (-0.4, 0.62))), (0.0, -0.05, 0.24)),
    "dress": Shape("clothing", (
        half(BODY, (0.0, -0.6), (0.14, -0.62), (0.22, -0.95), (0.34, -0.95), (0.36, -0.5), (0.26, -0.12), (0.72, 0.92), (0.0, 0.98)),
        half(TRIM, (0.0, -0.2), (0.28, -0.2), (0.28, -0.05), (0.0, -0.05))), (0.0, 0.42, 0.28)),
    "trousers": Shape("clothing", (
        half(BODY, (0.0, -0.92), (0.46, -0.92), (0.58, 0.92), (0.2, 0.92), (0.0, -0.25)),
        half(TRIM, (0.0, -0.95), (0.47, -0.95), (0.48, -0.78), (0.0, -0.78)), bar(DARK, -0.07, -0.93, 0.07, -0.8),
        poly(TRIM, (0.58, 0.92), (0.2, 0.92), (0.18, 0.8), (0.57, 0.8)), poly(TRIM, (-0.58, 0.92), (-0.2, 0.92), (-0.18, 0.8), (-0.57, 0.8))),
        (0.34, 0.05, 0.14)),
    "skirt": Shape("clothing", (
        half(BODY, (0.0, -0.62), (0.36, -0.62), (0.88, 0.7), (0.0, 0.82)),
        half(TRIM, (0.0, -0.72), (0.37, -0.72), (0.42, -0.5), (0.0, -0.5))), (0.1, 0.2, 0.28)),
    "sock": Shape("clothing", (
        blob(BODY, (-0.35, -0.95), (0.2, -0.95), (0.22, 0.1), (0.75, 0.5), (0.8, 0.8), (0.5, 0.92), (-0.1, 0.75), (-0.38, 0.4)),
        bar(TRIM, -0.38, -0.98, 0.24, -0.72),
        blob(TRIM, (0.52, 0.45), (0.82, 0.6), (0.78, 0.88), (0.5, 0.93), (0.42, 0.7)), blob(ACCENT, (-0.4, 0.2), (-0.1, 0.4), (-0.15, 0.75), (-0.42, 0.45))),
        (-0.08, -0.3, 0.18)),
    "sneaker": Shape("shoes", (
        poly(BODY, (-0.92, -0.42), (-0.5, -0.5), (-0.3, -0.38), (0.0, -0.42), (0.3, -0.1), (0.85, 0.05), (0.97, 0.3), (-0.92, 0.3)),
        blob(ACCENT, (0.6, 0.0), (0.9, 0.05), (1.0, 0.3), (0.6, 0.3)),
        poly(TRIM, (-0.96, 0.26), (0.99, 0.26), (0.95, 0.5), (-0.92, 0.5)),
        band(DARK, 0.06, (-0.12, -0.3), (0.12, -0.34)), band(DARK, 0.06, (0.0, -0.16), (0.24, -0.22)), band(DARK, 0.06, (0.14, -0.03), (0.4, -0.1))),
        (-0.45, -0.06, 0.2)),
    "boot": Shape("shoes", (
        poly(BODY, (-0.55, -0.92), (0.18, -0.92), (0.2, 0.1), (0.72, 0.28), (0.85, 0.62), (-0.55, 0.62)),
        poly(TRIM, (-0.6, 0.6), (0.9, 0.6), (0.88, 0.78), (-0.1, 0.78), (-0.12, 0.92), (-0.6, 0.92)),
        bar(TRIM, -0.58, -0.96, 0.22, -0.76), band(DARK, 0.08, (-0.56, 0.14), (0.22, 0.14))), (-0.18, -0.3, 0.22)),
    "high heel": Shape("shoes", (
        blob(BODY, (-0.8, -0.45), (-0.6, -0.5), (-0.2, -0.05), (0.3, 0.3), (0.9, 0.45), (0.95, 0.6), (0.3, 0.62), (-0.2, 0.35), (-0.75, 0.1)),
        poly(TRIM, (-0.85, -0.05), (-0.6, 0.08), (-0.7, 0.68), (-0.8, 0.68)), poly(TRIM, (-0.2, 0.36), (0.3, 0.6), (0.97, 0.56), (0.95, 0.68), (0.2, 0.68)),
        band(ACCENT, 0.09, (-0.75, -0.45), (-0.5, -0.62), (-0.3, -0.25))), (-0.5, -0.08, 0.15)),
    "sandal": Shape("shoes", (
        blob(TRIM, (-0.5, -0.9), (0.1, -0.95), (0.45, -0.4), (0.35, 0.3), (0.5, 0.85), (0.0, 0.98), (-0.45, 0.7), (-0.4, 0.1)),
        band(BODY, 0.3, (-0.52, -0.15), (0.0, -0.42), (0.52, -0.25)), band(BODY, 0.26, (-0.52, 0.5), (0.0, 0.35), (0.52, 0.5)),
        band(DARK, 0.1, (0.0, -0.85), (0.0, -0.3))), (0.0, -0.36, 0.16)),
    "tote bag": Shape("bags", (
        band(TRIM, 0.1, (-0.36, -0.15), (-0.3, -0.75), (0.0, -0.92), (0.3, -0.75), (0.36, -0.15)),
        half(BODY, (0.0, -0.25), (0.66, -0.25), (0.74, 0.92), (0.0, 0.92)), half(TRIM, (0.0, -0.28), (0.67, -0.28), (0.68, -0.14), (0.0, -0.14))), (0.0, 0.38, 0.34)),
    "backpack": Shape("bags", (
        band(DARK, 0.09, (-0.16, -0.75), (-0.1, -0.95), (0.1, -0.95), (0.16, -0.75)),
        band(TRIM, 0.14, (-0.5, -0.4), (-0.72, 0.0), (-0.62, 0.6)), band(TRIM, 0.14, (0.5, -0.4), (0.72, 0.0), (0.62, 0.6)),
        soft(BODY, (0.0, -0.85), (0.45, -0.7), (0.6, -0.1), (0.62, 0.8), (0.0, 0.95)),
        half(TRIM, (0.0, 0.25), (0.44, 0.25), (0.46, 0.8), (0.0, 0.82)), band(DARK, 0.07, (-0.44, 0.36), (0.44, 0.36))), (0.0, -0.28, 0.27)),
    "handbag": Shape("bags", (
        band(TRIM, 0.11, (-0.45, -0.1), (-0.38, -0.62), (0.0, -0.8), (0.38, -0.62), (0.45, -0.1)),
        soft(BODY, (0.0, -0.25), (0.65, -0.22), (0.92, 0.68), (0.0, 0.75)),
        half(TRIM, (0.0, -0.26), (0.66, -0.26), (0.58, 0.12), (0.0, 0.22)), oval(ACCENT, 0.0, 0.16, 0.12, 0.1)), (0.0, 0.47, 0.2)),
    "suitcase": Shape("bags", (
        band(DARK, 0.09, (-0.25, -0.5), (-0.25, -0.95), (0.25, -0.95), (0.25, -0.5)),
        poly(BODY, (-0.5, -0.62), (0.5, -0.62), (0.6, -0.52), (0.6, 0.76), (0.5, 0.84), (-0.5, 0.84), (-0.6, 0.76), (-0.6, -0.52)),
        bar(TRIM, -0.46, -0.62, -0.3, 0.84), bar(TRIM, 0.3, -0.62, 0.46, 0.84), oval(DARK, -0.4, 0.9, 0.1, 0.09), oval(DARK, 0.4, 0.9, 0.1, 0.09)), (0.0, 0.1, 0.27)),
    "cap": Shape("hats", (
        blob(BODY, (-0.75, 0.25), (-0.72, -0.2), (-0.35, -0.6), (0.1, -0.6), (0.42, -0.2), (0.45, 0.25), (-0.15, 0.32)),
        blob(TRIM, (0.2, 0.12), (0.75, 0.12), (0.99, 0.38), (0.6, 0.38), (0.1, 0.32)), oval(ACCENT, -0.14, -0.58, 0.12, 0.08)), (-0.15, -0.15, 0.26)),
    "beanie": Shape("hats", (
        oval(ACCENT, 0.0, -0.78, 0.24, 0.22), soft(BODY, (0.0, -0.66), (0.45, -0.5), (0.68, 0.0), (0.68, 0.5), (0.0, 0.5)),
        half(TRIM, (0.0, 0.3), (0.74, 0.3), (0.74, 0.72), (0.0, 0.72))), (0.0, -0.12, 0.26)),
    "sun hat": Shape("hats", (
        oval(BODY, 0.0, 0.3, 0.98, 0.4), soft(BODY, (0.0, -0.62), (0.38, -0.55), (0.5, 0.2), (0.0, 0.36)),
        blob(TRIM, (-0.52, 0.0), (0.0, 0.12), (0.52, 0.0), (0.54, 0.26), (0.0, 0.38), (-0.54, 0.26))), (0.0, -0.25, 0.22)),
    "mug": Shape("kitchen", (
        band(TRIM, 0.16, (0.36, -0.35), (0.78, -0.35), (0.84, 0.1), (0.7, 0.42), (0.36, 0.45)),
        poly(BODY, (-0.68, -0.62), (0.42, -0.62), (0.4, 0.7), (-0.66, 0.7)), oval(TRIM, -0.13, -0.62, 0.55, 0.14), oval(DARK, -0.13, -0.61, 0.44, 0.09)), (-0.13, 0.08, 0.32)),
    "teapot": Shape("kitchen", (
        band(TRIM, 0.13, (-0.5, -0.25), (-0.92, -0.2), (-0.88, 0.3), (-0.5, 0.4)),
        poly(BODY, (0.4, 0.1), (0.98, -0.5), (0.99, -0.32), (0.5, 0.5)), oval(BODY, 0.0, 0.18, 0.64, 0.56),
        blob(TRIM, (-0.34, -0.3), (0.0, -0.5), (0.34, -0.3), (0.0, -0.24)), oval(ACCENT, 0.0, -0.56, 0.12, 0.11)), (0.0, 0.2, 0.3)),
    "bottle": Shape("kitchen", (
        soft(BODY, (0.0, -0.7), (0.15, -0.7), (0.17, -0.35), (0.4, -0.05), (0.42, 0.88), (0.0, 0.95)),
        bar(TRIM, -0.17, -0.96, 0.17, -0.66), bar(ACCENT, -0.42, 0.12, 0.42, 0.24)), (0.0, 0.54, 0.24)),
    "bowl": Shape("kitchen", (
        soft(BODY, (0.0, -0.2), (0.94, -0.24), (0.7, 0.4), (0.0, 0.62)), oval(TRIM, 0.0, -0.22, 0.94, 0.2), oval(DARK, 0.0, -0.2, 0.8, 0.13),
        half(TRIM, (0.0, 0.52), (0.32, 0.52), (0.36, 0.7), (0.0, 0.7))), (0.0, 0.22, 0.2)),
    "pan": Shape("kitchen", (
        poly(TRIM, (0.3, -0.1), (0.98, -0.6), (0.99, -0.4), (0.4, 0.15)), oval(BODY, -0.25, 0.15, 0.7, 0.62), oval(DARK, -0.25, 0.15, 0.54, 0.46), oval(BODY, -0.25, 0.17, 0.48, 0.4)),
        (-0.25, 0.17, 0.24)),
    "wine glass": Shape("kitchen", (
        soft(BODY, (0.0, -0.92), (0.44, -0.92), (0.46, -0.4), (0.1, 0.05), (0.0, 0.08)), bar(TRIM, -0.06, 0.0, 0.06, 0.8), oval(TRIM, 0.0, 0.84, 0.44, 0.1),
        half(ACCENT, (0.0, -0.95), (0.45, -0.95), (0.47, -0.82), (0.0, -0.82))), (0.0, -0.45, 0.24)),
    "lamp": Shape("home", (
        half(BODY, (0.0, -0.9), (0.38, -0.9), (0.68, 0.0), (0.0, 0.05)), bar(TRIM, -0.08, 0.0, 0.08, 0.8), oval(TRIM, 0.0, 0.82, 0.42, 0.13), half(ACCENT, (0.0, -0.08), (0.67, -0.1), (0.7, 0.04), (0.0, 0.08))),
        (0.0, -0.45, 0.24)),
    "cushion": Shape("home", (
        poly(TRIM, (-0.9, -0.9), (0.0, -0.76), (0.9, -0.9), (0.78, 0.0), (0.9, 0.9), (0.0, 0.76), (-0.9, 0.9), (-0.78, 0.0)),
        poly(BODY, (-0.74, -0.74), (0.0, -0.64), (0.74, -0.74), (0.66, 0.0), (0.74, 0.74), (0.0, 0.64), (-0.74, 0.74), (-0.66, 0.0))), (0.0, 0.0, 0.36)),
    "vase": Shape("home", (
        soft(BODY, (0.0, -0.85), (0.3, -0.9), (0.16, -0.5), (0.6, 0.15), (0.34, 0.88), (0.0, 0.92)), oval(TRIM, 0.0, -0.87, 0.3, 0.09), half(TRIM, (0.0, 0.8), (0.36, 0.8), (0.36, 0.94), (0.0, 0.94)),
        half(ACCENT, (0.0, -0.55), (0.2, -0.55), (0.24, -0.42), (0.0, -0.42))), (0.0, 0.18, 0.3)),
    "clock": Shape("home", (oval(TRIM, 0.0, 0.0, 0.92, 0.92), oval(BODY, 0.0, 0.0, 0.74, 0.74), band(DARK, 0.09, (0.0, 0.0), (0.0, -0.56)), band(DARK, 0.09, (0.0, 0.0), (0.38, 0.2)), oval(ACCENT, 0.0, 0.0, 0.11, 0.11)),
        (0.0, 0.42, 0.16)),
    "plant pot": Shape("home", (
        blob(ACCENT, (-0.1, -0.1), (-0.75, -0.35), (-0.7, -0.75), (-0.2, -0.45)), blob(ACCENT, (0.1, -0.1), (0.75, -0.3), (0.72, -0.7), (0.2, -0.45)), blob(ACCENT, (-0.15, 0.0), (-0.22, -0.7), (0.05, -0.98), (0.22, -0.6), (0.15, 0.0)),
        half(BODY, (0.0, 0.0), (0.55, 0.0), (0.4, 0.92), (0.0, 0.92)), half(TRIM, (0.0, -0.08), (0.62, -0.08), (0.62, 0.14), (0.0, 0.14))), (0.0, 0.5, 0.24)),
    "chair": Shape("furniture", (
        bar(TRIM, -0.52, 0.1, -0.4, 0.95), bar(TRIM, 0.4, 0.1, 0.52, 0.95), half(BODY, (0.0, -0.95), (0.42, -0.92), (0.46, -0.1), (0.0, -0.1)), bar(TRIM, -0.4, -0.1, -0.26, 0.15), bar(TRIM, 0.26, -0.1, 0.4, 0.15),
        half(BODY, (0.0, 0.06), (0.52, 0.06), (0.62, 0.34), (0.0, 0.34))), (0.0, -0.52, 0.25)),
    "armchair": Shape("furniture", (
        bar(DARK, -0.72, 0.6, -0.55, 0.85), bar(DARK, 0.55, 0.6, 0.72, 0.85), soft(BODY, (0.0, -0.82), (0.6, -0.72), (0.62, 0.3), (0.0, 0.3)), half(TRIM, (0.0, 0.1), (0.6, 0.1), (0.6, 0.66), (0.0, 0.66)),
        blob(BODY, (0.5, -0.15), (0.92, -0.15), (0.88, 0.66), (0.5, 0.66)), blob(BODY, (-0.5, -0.15), (-0.92, -0.15), (-0.88, 0.66), (-0.5, 0.66))), (0.0, -0.32, 0.28)),
    "stool": Shape("furniture", (
        poly(TRIM, (-0.5, -0.3), (-0.34, -0.3), (-0.55, 0.95), (-0.7, 0.95)), poly(TRIM, (0.5, -0.3), (0.34, -0.3), (0.55, 0.95), (0.7, 0.95)), band(ACCENT, 0.1, (-0.55, 0.45), (0.55, 0.45)),
        poly(BODY, (-0.72, -0.75), (0.72, -0.75), (0.8, -0.5), (0.7, -0.25), (-0.7, -0.25), (-0.8, -0.5))), (0.0, -0.5, 0.18)),
    "cabinet": Shape("furniture", (
        bar(DARK, -0.6, 0.7, -0.45, 0.95), bar(DARK, 0.45, 0.7, 0.6, 0.95), bar(BODY, -0.7, -0.8, 0.7, 0.78), bar(TRIM, -0.78, -0.9, 0.78, -0.74), bar(TRIM, -0.7, -0.06, 0.7, 0.04),
        bar(TRIM, -0.04, 0.04, 0.04, 0.78), oval(ACCENT, -0.14, 0.38, 0.07, 0.07), oval(ACCENT, 0.14, 0.38, 0.07, 0.07)), (0.0, -0.4, 0.24)),
    "watch": Shape("electronics", (
        poly(TRIM, (-0.24, -0.98), (0.24, -0.98), (0.3, -0.4), (-0.3, -0.4)), poly(TRIM, (-0.24, 0.98), (0.24, 0.98), (0.3, 0.4), (-0.3, 0.4)), oval(DARK, 0.5, 0.0, 0.1, 0.1), oval(DARK, 0.0, 0.0, 0.54, 0.54),
        oval(BODY, 0.0, 0.0, 0.45, 0.45), band(ACCENT, 0.07, (0.0, 0.0), (0.0, -0.36)), band(ACCENT, 0.07, (0.0, 0.0), (0.24, 0.1))), (0.0, 0.24, 0.12)),
    "headphones": Shape("electronics", (
        band(TRIM, 0.16, (-0.68, 0.3), (-0.72, -0.2), (-0.45, -0.68), (0.0, -0.84), (0.45, -0.68), (0.72, -0.2), (0.68, 0.3)), oval(DARK, -0.5, 0.38, 0.16, 0.4), oval(DARK, 0.5, 0.38, 0.16, 0.4),
        oval(BODY, -0.68, 0.38, 0.27, 0.46), oval(BODY, 0.68, 0.38, 0.27, 0.46)), (-0.68, 0.38, 0.15)),
    "camera": Shape("electronics", (
        poly(TRIM, (-0.35, -0.62), (0.3, -0.62), (0.42, -0.3), (-0.45, -0.3)), bar(BODY, -0.94, -0.42, 0.94, 0.64), oval(TRIM, 0.12, 0.1, 0.5, 0.48), oval(DARK, 0.12, 0.1, 0.36, 0.35), oval(ACCENT, 0.12, 0.1, 0.18, 0.18),
        bar(ACCENT, 0.62, -0.54, 0.84, -0.42)), (-0.66, 0.1, 0.18)),
    "radio": Shape("electronics", (
        band(DARK, 0.06, (0.4, -0.5), (0.75, -0.96)), band(TRIM, 0.1, (-0.5, -0.4), (-0.46, -0.68), (0.3, -0.68), (0.34, -0.4)), bar(BODY, -0.92, -0.48, 0.92, 0.64), oval(TRIM, -0.44, 0.12, 0.37, 0.37), oval(DARK, -0.44, 0.12, 0.26, 0.26),
        bar(TRIM, 0.08, -0.32, 0.8, -0.06), oval(ACCENT, 0.64, 0.32, 0.15, 0.15)), (0.26, 0.3, 0.16)),
    "guitar": Shape("music", (
        bar(TRIM, -0.06, -0.85, 0.06, 0.1), poly(DARK, (-0.12, -0.99), (0.12, -0.99), (0.09, -0.76), (-0.09, -0.76)), soft(BODY, (0.0, -0.18), (0.36, -0.1), (0.28, 0.25), (0.54, 0.6), (0.3, 0.95), (0.0, 0.98)), oval(DARK, 0.0, 0.25, 0.13, 0.13),
        bar(ACCENT, -0.17, 0.62, 0.17, 0.72)), (0.28, 0.66, 0.15)),
    "drum": Shape("music", (
        poly(BODY, (-0.76, -0.4), (0.76, -0.4), (0.7, 0.6), (-0.7, 0.6)), oval(TRIM, 0.0, 0.6, 0.72, 0.2), oval(BODY, 0.0, 0.5, 0.7, 0.18), oval(TRIM, 0.0, -0.4, 0.8, 0.26), oval(ACCENT, 0.0, -0.42, 0.66, 0.18)), (0.0, 0.18, 0.26)),
    "ball": Shape("toys", (oval(BODY, 0.0, 0.0, 0.88, 0.88), band(TRIM, 0.16, (-0.84, -0.2), (0.0, 0.05), (0.84, -0.2))), (0.0, 0.42, 0.26)),
    "kite": Shape("toys", (
        band(DARK, 0.05, (0.0, 0.45), (0.2, 0.7), (-0.1, 0.82), (0.15, 0.98)), half(BODY, (0.0, -0.98), (0.66, -0.3), (0.0, 0.55)), poly(TRIM, (0.0, -0.3), (0.66, -0.3), (0.0, 0.55)), poly(TRIM, (0.0, -0.98), (0.0, -0.3), (-0.66, -0.3)),
        blob(ACCENT, (0.0, 0.7), (0.35, 0.58), (0.35, 0.82))), (-0.2, 0.0, 0.16)),
    "toy car": Shape("toys", (
        poly(TRIM, (-0.5, -0.06), (-0.28, -0.52), (0.36, -0.52), (0.6, -0.06)), bar(ACCENT, -0.26, -0.42, 0.02, -0.1), bar(ACCENT, 0.1, -0.42, 0.38, -0.1), poly(BODY, (-0.96, -0.06), (0.8, -0.1), (0.98, 0.12), (0.98, 0.42), (-0.96, 0.42)),
        oval(DARK, -0.52, 0.42, 0.25, 0.25), oval(DARK, 0.54, 0.42, 0.25, 0.25), oval(TRIM, -0.52, 0.42, 0.12, 0.12), oval(TRIM, 0.54, 0.42, 0.12, 0.12)), (0.0, 0.15, 0.17)),
    "teddy bear": Shape("toys", (
        oval(BODY, -0.34, -0.8, 0.18, 0.18), oval(BODY, 0.34, -0.8, 0.18, 0.18), oval(BODY, -0.58, 0.12, 0.26, 0.18), oval(BODY, 0.58, 0.12, 0.26, 0.18), oval(TRIM, -0.34, 0.82, 0.24, 0.18), oval(TRIM, 0.34, 0.82, 0.24, 0.18), oval(BODY, 0.0, 0.36, 0.52, 0.54),
        oval(BODY, 0.0, -0.46, 0.46, 0.42), oval(TRIM, 0.0, -0.32, 0.2, 0.16), oval(DARK, -0.17, -0.55, 0.06, 0.06), oval(DARK, 0.17, -0.55, 0.06, 0.06), oval(DARK, 0.0, -0.36, 0.07, 0.05)), (0.0, 0.38, 0.26)),
    "umbrella": Shape("outdoor", (
        band(TRIM, 0.09, (0.0, -0.1), (0.0, 0.8), (0.14, 0.93), (0.28, 0.8)), poly(BODY, (0.0, -0.88), (0.5, -0.74), (0.86, -0.35), (0.97, 0.1), (0.65, -0.04), (0.33, 0.1), (0.0, -0.04), (-0.33, 0.1), (-0.65, -0.04), (-0.97, 0.1), (-0.86, -0.35), (-0.5, -0.74)),
        poly(ACCENT, (0.0, -0.88), (0.2, -0.7), (0.33, 0.1), (0.0, -0.04), (-0.33, 0.1), (-0.2, -0.7))), (0.6, -0.3, 0.17)),
    "tent": Shape("outdoor", (
        poly(BODY, (0.0, -0.72), (0.98, 0.68), (-0.98, 0.68)), poly(TRIM, (0.0, -0.72), (0.12, -0.72), (0.99, 0.68), (0.78, 0.68)), poly(DARK, (0.0, -0.2), (0.3, 0.68), (-0.3, 0.68)), poly(TRIM, (0.0, -0.2), (-0.3, 0.68), (-0.42, 0.68))), (-0.5, 0.4, 0.16)),
    "lantern": Shape("outdoor", (
        band(DARK, 0.07, (-0.3, -0.5), (-0.26, -0.88), (0.0, -0.97), (0.26, -0.88), (0.3, -0.5)), half(TRIM, (0.0, -0.62), (0.26, -0.62), (0.5, -0.38), (0.0, -0.38)), bar(BODY, -0.44, -0.4, 0.44, 0.66), bar(TRIM, -0.52, 0.62, 0.52, 0.86),
        bar(DARK, -0.46, -0.4, -0.38, 0.64), bar(DARK, 0.38, -0.4, 0.46, 0.64)), (0.0, 0.12, 0.28)),
}  # fmt: skip

EMBLEMS: tuple[str, ...] = ("none", "disc", "ring", "star", "heart", "triangle", "square", "cross", "moon", "bolt", "bars")  # fmt: skip


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
        return np.stack([16 * np.sin(angle) ** 3, -13 * np.cos(angle) + 5 * np.cos(2 * angle) + 2 * np.cos(3 * angle) + np.cos(4 * angle)], axis=1) / 17  # fmt: skip
    corners = {
        "triangle": [(0, -1), (0.95, 0.75), (-0.95, 0.75)],
        "square": [(-0.78, -0.78), (0.78, -0.78), (0.78, 0.78), (-0.78, 0.78)],
        "cross": [(-0.33, -1), (0.33, -1), (0.33, -0.33), (1, -0.33), (1, 0.33), (0.33, 0.33), (0.33, 1), (-0.33, 1), (-0.33, 0.33), (-1, 0.33), (-1, -0.33), (-0.33, -0.33)],
        "bolt": [(0.3, -1), (-0.65, 0.2), (-0.05, 0.2), (-0.3, 1), (0.65, -0.25), (0.05, -0.25)],
        "bars": [(-0.9, -0.8), (0.9, -0.8), (0.9, -0.15), (-0.9, -0.15), (-0.9, 0.15), (0.9, 0.15), (0.9, 0.8), (-0.9, 0.8), (-0.9, 0.15), (-0.9, -0.15)],
    }  # fmt: skip
    return np.array(corners[name], dtype=np.float64)


def warp(points: NDArray[np.float64], aspect: float, taper: float, bulge: float, lean: float) -> NDArray[np.float64]:
    """Bend object points [N, 2]: width over height, wider below, wider in the middle, leaning sideways."""
    x, y = points[:, 0], points[:, 1]
    width = np.sqrt(aspect) * (1 + taper * y) * (1 + bulge * (1 - y * y))
    return np.stack([x * width + lean * (y * y - 0.4), y / np.sqrt(aspect)], axis=1)
