"""Large constants that are no layer's weight, attention biases and position embeddings: on 256 values."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.export import ExportedProgram

from edgekit.graph.levels import Levels
from edgekit.quantization.layers import SMALL, layers, stored, weight_name
from edgekit.quantization.palettes import palette

__all__ = ["encode_constants", "large_constants"]

_BITS = 8


def large_constants(program: ExportedProgram) -> list[str]:
    """Names of the float parameters, buffers and constants of a prepared program that are worth storing as indices."""
    weights = {weight_name(program, layer) for layer in layers(program) if layer.weight is not None}
    return [
        name
        for name, value in _constants(program).items()
        if name not in weights and value.is_floating_point() and value.numel() > SMALL
    ]


def encode_constants(program: ExportedProgram, names: Sequence[str]) -> dict[str, Levels]:
    """The constants called `names` as indices into tables of 256 values, by name.

    Raises:
        KeyError: the program has no such constant.
    """
    known, encoded = _constants(program), {}
    for name in names:
        value = known[name].detach().float()
        grid = palette(value, _BITS)
        codes = grid.codes(value.flatten().double(), 0).to(torch.uint8).reshape(value.shape)
        encoded[name] = Levels(codes.numpy(), _BITS, **grid.stored())
    return encoded


def _constants(program: ExportedProgram) -> dict[str, Tensor]:
    kept = stored(program)
    used = [spec.target for spec in program.graph_signature.input_specs if spec.target in kept]
    return {name: kept[name] for name in used if isinstance(kept[name], Tensor)}
