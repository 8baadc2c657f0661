"""Weights on few levels, made from a model and images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from edgekit.graph.levels import Levels
from edgekit.quantization.plan import FEW_BITS, Scheme

if TYPE_CHECKING:
    from torch.export import ExportedProgram

__all__ = ["few_bits"]


def few_bits(
    program: ExportedProgram,
    schemes: Mapping[str, Scheme],
    images: Iterable[np.ndarray],
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Levels]:
    """The weights of the layers called in `schemes` on the levels of their scheme, by layer name.

    Args:
        program: the prepared program.
        schemes: by layer name, one of "palette4", "palette6" and "w4".
        images: uint8 [H,W,3], from which the layers' inputs are learnt.
        progress: told the number of images so far.
    """
    from edgekit.quantization.gptq import compensate, second_moments
    from edgekit.quantization.layers import layers, weights
    from edgekit.quantization.palettes import Palette, palette, steps

    wanted = [layer for layer in layers(program) if layer.name in schemes]
    moments, known = second_moments(program, wanted, images, progress), weights(program)
    found = {}
    for layer in wanted:
        weight, scheme = known[layer.name], schemes[layer.name]
        bits = FEW_BITS[scheme]
        grid = steps(weight) if scheme == "w4" else palette(weight, bits)
        codes = compensate(weight, moments[layer.name], grid).numpy()
        if isinstance(grid, Palette):
            found[layer.name] = Levels(codes, bits, table=grid.table.float().numpy())
        else:
            found[layer.name] = Levels(codes, bits, scales=grid.scales.float().numpy())
    return found
