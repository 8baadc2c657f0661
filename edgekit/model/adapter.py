"""The query adapter's file: a linear layer that takes a model's embedding to the space of an older one's gallery."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from edgekit.errors import InputError
from edgekit.model.space import SPACE
from edgekit.model.weights.files import read_tensors
from edgekit.support.files import write_atomically
from edgekit.support.text import shown

__all__ = ["SCHEMA", "QueryAdapter", "read_adapter", "write_adapter"]

SCHEMA: Final = "edgekit.adapter/1"
_KEY: Final = "edgekit.adapter"
_WIDEST: Final = 65536
_ADVICE: Final = "write it again with `edgekit evaluate compatibility`"


@dataclass(frozen=True, eq=False)
class QueryAdapter:
    """What an adapter's file holds."""

    weight: Tensor  # float32 [old D, new D]
    old_space: str | None  # id of the space that it leads to, where it was measured to serve there


def write_adapter(path: Path, weight: np.ndarray, facts: dict[str, str | None]) -> Path:
    """Write `weight` float32 [old D, new D] as safetensors, with `facts` in the metadata.

    Raises:
        OutputError: it cannot be written.
    """
    from safetensors.numpy import save

    # One key alone: safetensors writes several in an order that changes from run to run.
    write_atomically(path, save({"weight": weight}, {_KEY: json.dumps({"schema": SCHEMA} | facts)}))
    return path


def read_adapter(path: Path, dim: int, model: str) -> QueryAdapter:
    """The adapter for embeddings of `dim` values.

    `model` is the hash of the PyTorch model that it is for; an adapter that was learned from another is refused.

    Raises:
        InputError: it is damaged, no adapter, or one for another model.
    """
    name = shown(str(path), 200)
    entries, notes = read_tensors(path)
    try:
        facts = json.loads(notes.get(_KEY, ""))
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict) or facts.get("schema") != SCHEMA or [entry.name for entry in entries] != ["weight"]:
        raise InputError(f"{name}: is no query adapter; {_ADVICE}", field="adapter")
    stored = entries[0].stored
    shape = stored.shape
    if len(shape) != 2 or not 0 < shape[0] <= _WIDEST or shape[1] != dim:
        raise InputError(
            f"{name}: is a weight {list(shape)}, the model's embedding has {dim} values; give the adapter that was "
            "learned for this model",
            field="adapter",
        )
    weight = stored.load()
    if weight.dtype != torch.float32 or not bool(weight.isfinite().all()) or not bool(weight.any(dim=1).all()):
        raise InputError(f"{name}: its weight is no finite float32, or has rows of zeros; {_ADVICE}", field="adapter")
    if facts.get("new_kind") == "pytorch" and facts.get("new_model") != model:
        raise InputError(
            f"{name}: was learned from embeddings of another model; give the model that it was learned from, or learn "
            "one for this",
            field="adapter",
        )
    space = facts.get("old_space")
    return QueryAdapter(weight, space if isinstance(space, str) and re.fullmatch(SPACE, space) else None)
