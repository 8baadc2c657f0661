"""The state of a run in one safetensors file, replaced at once: whenever the process dies, a whole state is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from edgekit.errors import InputError
from edgekit.support.files import write_atomically
from edgekit.support.text import reason_of

__all__ = ["State", "load", "rng_state", "save", "set_rng_state"]

_FORMAT = 1


@dataclass(frozen=True)
class State:
    """Tensors by name and facts that JSON can hold."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `prefix` and a dot, without it."""
        start = f"{prefix}."
        return {key.removeprefix(start): value for key, value in self.tensors.items() if key.startswith(start)}


def save(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write a state and give it its name in one step. Raises OutputError; `path` is then as it was."""
    whole = {key: value.detach().to("cpu", copy=True).contiguous() for key, value in tensors.items()}
    note = {"edgekit_checkpoint": json.dumps({"format": _FORMAT, **facts}, sort_keys=True)}

    def write(part: Path) -> None:
        try:
            save_file(whole, part, metadata=note)
        except SafetensorError as error:  # a full disk, among others
            raise OSError(reason_of(error, 200)) from error

    write_atomically(path, write, "free some space and continue with `resume=True`")


def load(path: Path) -> State:
    """Read a state. Raises InputError where the file is no state or damaged; nothing in it is executed."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            note = (file.metadata() or {}).get("edgekit_checkpoint")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
        facts = json.loads(note) if note else None
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged, or not a checkpoint ({reason_of(error, 160)})") from error
    if not isinstance(facts, dict) or facts.get("format") != _FORMAT:
        raise InputError(
            f"{path}: not a checkpoint of this version of EdgeKit; leave out `resume` to start a new run",
            field="resume",
        )
    return State(tensors, facts)


def rng_state() -> dict[str, Tensor]:
    """The random states of torch, on the CPU and on each accelerator."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def set_rng_state(states: Mapping[str, Tensor]) -> None:
    """Go on from `rng_state()`; an accelerator that was not there then keeps its own."""
    torch.set_rng_state(states["cpu"])
    for index in range(torch.cuda.device_count()):
        if f"cuda{index}" in states:
            torch.cuda.set_rng_state(states[f"cuda{index}"], index)
