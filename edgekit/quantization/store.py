"""What stands in a file beside a plan: weights on few levels, and what is added to the biases of layers in 8 bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgekit.errors import InputError
from edgekit.graph.levels import Levels
from edgekit.quantization.plan import FEW_BITS, LayerPlan
from edgekit.support.files import sha256_file
from edgekit.support.text import reason_of

__all__ = ["WEIGHTS", "encode", "read_beside"]

WEIGHTS = "weights.safetensors"  # beside plan.json


def encode(levels: Mapping[str, Levels], shifts: Mapping[str, np.ndarray]) -> bytes:
    """Levels and shifts, float32 [O], by layer name as a safetensors file; equal ones give equal bytes."""
    from safetensors.numpy import save

    tensors = {f"{name}/shift": shift for name, shift in shifts.items()}
    for name, own in levels.items():
        kept = {"codes": own.codes, "table": own.table, "scales": own.scales}
        tensors.update({f"{name}/{part}": value for part, value in kept.items() if value is not None})
    return save(tensors)


def read_beside(
    folder: Path, sha256: str, rows: Sequence[LayerPlan]
) -> tuple[dict[str, Levels], dict[str, np.ndarray]]:
    """The levels and shifts of the `rows` that need some, from the file beside their plan.

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
        raise InputError(f"{path}: damaged ({reason_of(error, 100)}); {advice}") from error
    levels = {
        row.name: _levels(path, row.name, FEW_BITS[row.scheme], row.scheme == "w4", held)
        for row in rows
        if row.scheme in FEW_BITS
    }
    return levels, {row.name: _shift(path, row.name, held) for row in rows if row.shifted}


def _shift(path: Path, name: str, held: Mapping[str, np.ndarray]) -> np.ndarray:
    shift = held.get(f"{name}/shift")
    if shift is None or shift.dtype != np.float32 or shift.ndim != 1 or not np.isfinite(shift).all():
        raise InputError(f"{path}: holds nothing to add to the bias of {name}; run `edgekit quantize` again")
    return shift


def _levels(path: Path, name: str, bits: int, stepped: bool, held: Mapping[str, np.ndarray]) -> Levels:
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
