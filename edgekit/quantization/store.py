"""Plans in files: plan.json, and beside it weights on few levels and what is added to biases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgekit.errors import InputError
from edgekit.graph.levels import Levels
from edgekit.quantization.plan import LayerPlan, Plan
from edgekit.quantization.schemes import SCHEMES
from edgekit.support.files import sha256_file, write_atomically
from edgekit.support.text import reason_of

__all__ = ["encode", "read_plan", "write_plan"]

_WEIGHTS = "weights.safetensors"  # beside plan.json


def encode(levels: Mapping[str, Levels], shifts: Mapping[str, np.ndarray]) -> bytes:
    """Levels and shifts, float32 [O], by layer name as a safetensors file; equal ones give equal bytes."""
    from safetensors.numpy import save

    tensors = {f"{name}/shift": shift for name, shift in shifts.items()}
    for name, own in levels.items():
        kept = {"codes": own.codes, "table": own.table, "scales": own.scales}
        tensors.update({f"{name}/{part}": value for part, value in kept.items() if value is not None})
    return save(tensors)


def write_plan(plan: Plan, folder: Path) -> Path:
    """Write `folder`/plan.json, and what the plan holds beside it first; gives the path of plan.json.

    Raises:
        OutputError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if plan.weights is not None:
        write_atomically(folder / _WEIGHTS, encode(plan.levels, plan.shifts))
    return plan.write(folder / "plan.json")


def read_plan(path: Path) -> Plan:
    """Read a plan that anyone may have written, and its weights.

    Raises:
        InputError: says what is wrong with them.
    """
    plan = Plan.read(path)
    if plan.weights is None:
        if any(SCHEMES[row.scheme].coded or row.shifted for row in plan.layers):
            raise InputError(f"{path}: not a valid plan (weights: missing); {Plan.ADVICE}")
        return plan
    return plan.holding(*_read_beside(path.parent, plan.weights, plan.layers))


def _read_beside(
    folder: Path, sha256: str, rows: Sequence[LayerPlan]
) -> tuple[dict[str, Levels], dict[str, np.ndarray]]:
    """The levels and shifts of the `rows` that need some, from the file beside their plan."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / _WEIGHTS
    advice = f"keep it beside its plan, or {Plan.ADVICE}"
    if not path.is_file():
        raise InputError(f"{path}: the plan needs this file; {advice}")
    if sha256_file(path) != sha256:
        raise InputError(f"{path}: not the file that the plan was written with; {advice}")
    try:
        held = load_file(path)
    except (SafetensorError, ValueError, KeyError, OverflowError) as error:
        raise InputError(f"{path}: damaged ({reason_of(error, 100)}); {advice}") from error
    levels = {row.name: _levels(path, row, held) for row in rows if SCHEMES[row.scheme].coded}
    return levels, {row.name: _shift(path, row.name, held) for row in rows if row.shifted}


def _shift(path: Path, name: str, held: Mapping[str, np.ndarray]) -> np.ndarray:
    shift = held.get(f"{name}/shift")
    if shift is None or shift.dtype != np.float32 or shift.ndim != 1 or not np.isfinite(shift).all():
        raise InputError(f"{path}: holds nothing to add to the bias of {name}; {Plan.ADVICE}")
    return shift


def _levels(path: Path, row: LayerPlan, held: Mapping[str, np.ndarray]) -> Levels:
    bits, stepped = SCHEMES[row.scheme].weight_bits, SCHEMES[row.scheme].weights == "steps"
    codes, scales_or_table = (held.get(f"{row.name}/{part}") for part in ("codes", "scales" if stepped else "table"))
    if codes is None or scales_or_table is None or codes.dtype != np.uint8 or scales_or_table.dtype != np.float32:
        raise InputError(f"{path}: holds no weights of the layer {row.name}; {Plan.ADVICE}")
    fits = codes.ndim >= 2 and codes.size > 0 and int(codes.max()) < 2**bits and np.isfinite(scales_or_table).all()
    if stepped:
        fits = fits and scales_or_table.ndim == 2 and len(scales_or_table) == len(codes)
        fits = fits and scales_or_table.shape[1] > 0 and codes.shape[1] % scales_or_table.shape[1] == 0
    else:
        fits = fits and scales_or_table.shape == (2**bits,)
    if not fits:
        raise InputError(f"{path}: the weights of the layer {row.name} are not on {2**bits} levels; {Plan.ADVICE}")
    return Levels(codes, bits, **{"scales" if stepped else "table": scales_or_table})
