"""Weights on few levels: made from a model and images, and kept in a file beside the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.errors import InputError
from edgekit.files import sha256_file
from edgekit.levels import Levels
from edgekit.quantize.plan import FEW_BITS, LayerPlan, Scheme

if TYPE_CHECKING:
    from torch.export import ExportedProgram

__all__ = ["WEIGHTS", "encode", "few_bits", "read_levels"]

WEIGHTS = "weights.safetensors"  # beside plan.json


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
    from edgekit.quantize.compensate import compensate, second_moments
    from edgekit.quantize.layers import layers, weights
    from edgekit.quantize.palettes import Palette, palette, steps

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


def encode(levels: Mapping[str, Levels]) -> bytes:
    """The levels as a safetensors file; equal levels give equal bytes."""
    from safetensors.numpy import save

    tensors = {}
    for name, own in levels.items():
        kept = {"codes": own.codes, "table": own.table, "scales": own.scales}
        tensors.update({f"{name}/{part}": value for part, value in kept.items() if value is not None})
    return save(tensors)


def read_levels(folder: Path, sha256: str, rows: Sequence[LayerPlan]) -> dict[str, Levels]:
    """The levels of the `rows` that need some, from the file beside their plan.

    Raises:
        InputError: the file is missing, damaged, another one, or does not hold what the rows need.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / WEIGHTS
    advice = "keep it beside its plan, or run `edgekit quantize` again"
    if not path.is_file():
        raise InputError(f"{path}: the plan needs this file; {advice}")
    if sha256_file(path) != sha256:
        raise InputError(f"{path}: not the file that the plan was written with; {advice}")
    try:
        held = load_file(path)
    except (SafetensorError, ValueError, KeyError, OverflowError) as error:
        raise InputError(f"{path}: damaged ({str(error)[:100]}); {advice}") from error
    return {
        row.name: _checked(path, row.name, FEW_BITS[row.scheme], row.scheme == "w4", held)
        for row in rows
        if row.scheme in FEW_BITS
    }


def _checked(path: Path, name: str, bits: int, stepped: bool, held: Mapping[str, np.ndarray]) -> Levels:
    codes, other = held.get(f"{name}/codes"), held.get(f"{name}/{'scales' if stepped else 'table'}")
    if codes is None or other is None or codes.dtype != np.uint8 or other.dtype != np.float32:
        raise InputError(f"{path}: holds no weights of the layer {name}; run `edgekit quantize` again")
    whole = codes.ndim >= 2 and codes.size > 0 and int(codes.max()) < 2**bits and bool(np.isfinite(other).all())
    if stepped:
        fits = whole and other.ndim == 2 and len(other) == len(codes) and 0 < other.shape[1] <= codes.shape[1]
        fits = fits and codes.shape[1] % other.shape[1] == 0
    else:
        fits = whole and other.shape == (2**bits,)
    if not fits:
        raise InputError(f"{path}: the weights of the layer {name} are not on {2**bits} levels; make the plan again")
    return Levels(codes, bits, scales=other) if stepped else Levels(codes, bits, table=other)
