"""Augmentation on the accelerator: a view is drawn from numbers, so teacher and student can be shown the same one.

"Function matching" (arXiv 2106.05237): the teacher must see the very crop that the student sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekit.recipe import InputSpec

__all__ = ["AUGMENTATIONS", "PARAMETERS", "Augmentation", "apply", "canvas", "draw", "evaluate"]


@dataclass(frozen=True)
class Augmentation:
    """Ranges that a view is drawn from: smallest crop (share of the area), aspect, mirroring, and colour jitter."""

    area: float
    aspect: float
    mirror: bool
    jitter: float


AUGMENTATIONS = {
    "none": None,
    "light": Augmentation(area=0.7, aspect=1.1, mirror=True, jitter=0.1),
    "strong": Augmentation(area=0.35, aspect=1.33, mirror=True, jitter=0.35),
}
PARAMETERS = 8  # centre y, centre x, height, width, mirror, brightness, contrast, saturation


def canvas(spec: InputSpec, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width in pixels of what is read from a data set for a model input of `size`."""
    return int(size[0] / min(spec.crop_pct, 1.0)), int(size[1] / min(spec.crop_pct, 1.0))


def draw(augmentation: Augmentation | None, seed: int, rows: np.ndarray, views: np.ndarray) -> np.ndarray | None:
    """Parameters of the views: float32 [N, PARAMETERS], a function of seed, row and view alone; None for no change."""
    if augmentation is None:
        return None
    out = np.empty((len(rows), PARAMETERS), np.float32)
    for place, (row, view) in enumerate(zip(rows.tolist(), views.tolist(), strict=True)):
        u = np.random.default_rng([seed, row, view]).random(PARAMETERS)
        area = augmentation.area + (1 - augmentation.area) * u[0]
        aspect = augmentation.aspect ** (2 * u[1] - 1)
        height, width = min(1.0, (area / aspect) ** 0.5), min(1.0, (area * aspect) ** 0.5)
        colour = 1 + augmentation.jitter * (2 * u[5:8] - 1)
        mirror = float(augmentation.mirror and u[4] < 0.5)
        out[place] = (height / 2 + u[2] * (1 - height), width / 2 + u[3] * (1 - width), height, width, mirror, *colour)
    return out


def apply(images: Tensor, parameters: Tensor | None, size: tuple[int, int]) -> Tensor:
    """Views of uint8 [N,H,W,3] images as float32 [N,3,size] with values 0-255, computed where the images are.

    Without parameters this is the centre crop that evaluation takes.
    """
    pixels = images.permute(0, 3, 1, 2).float()
    if parameters is None:
        return evaluate(pixels, size)
    y, x, height, width, mirror, brightness, contrast, saturation = parameters.unbind(1)
    zero = torch.zeros_like(y)
    across = width * (1 - 2 * mirror)
    rows = torch.stack([across, zero, 2 * x - 1], 1), torch.stack([zero, height, 2 * y - 1], 1)
    grid = F.affine_grid(torch.stack(rows, 1), [len(pixels), 3, *size], align_corners=False)
    pixels = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    pixels = pixels * brightness.view(-1, 1, 1, 1)
    grey = pixels.mean(1, keepdim=True)
    pixels = grey + (pixels - grey) * saturation.view(-1, 1, 1, 1)
    level = grey.mean((2, 3), keepdim=True)
    return (level + (pixels - level) * contrast.view(-1, 1, 1, 1)).clamp(0, 255)


def evaluate(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """The centre crop of [N,3,H,W] to `size`."""
    top, left = round((pixels.shape[2] - size[0]) / 2), round((pixels.shape[3] - size[1]) / 2)
    return pixels[:, :, top : top + size[0], left : left + size[1]]
