"""What pruning, quantization-aware training and adapters add to a state dict, taken off again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgekit.errors import InputError
from edgekit.model.weights.readings import Wanted
from edgekit.model.weights.stored import Named, Stored, quote

if TYPE_CHECKING:
    import torch

__all__ = ["without_additions"]

_OBSERVERS = re.compile(r"(?:^|\.)(?:activation_post_process(?:_\d+)?|(?:weight|bias)_fake_quant)\.")
_ADAPTERS = re.compile(r"(?:^|\.)lora_\w+(?:\.|$)")
_BASE = ".base_layer."  # PEFT's name for the layer that an adapter is put around


def without_additions(entries: Sequence[Named], wanted: Wanted) -> tuple[Sequence[Named], list[str]]:
    """The tensors as a model without such additions has them, and words about what was done.

    Raises InputError: adapters that are not merged into the weights.
    """
    words = []
    if not any(name.endswith("_orig") for name in wanted.own):
        entries, count = _pruned(entries)
        words += [f"{count} multiplied by their pruning masks"] if count else []
    if not any(_OBSERVERS.search(name) for name in wanted.own):
        kept = [entry for entry in entries if not _OBSERVERS.search(entry.name)]
        words += [f"left {len(entries) - len(kept)} of fake quantization"] if len(kept) < len(entries) else []
        entries = kept
    if not any(_ADAPTERS.search(name) for name in wanted.own):
        adapter = next((entry.name for entry in entries if _ADAPTERS.search(entry.name)), None)
        if adapter is not None:
            raise InputError(
                f"holds LoRA adapters beside the weights, first {quote(adapter)}: merge them (merge_and_unload() of "
                "PEFT), and save the state dict of what that returns"
            )
    if not any(_BASE in name for name in wanted.own):
        entries = [entry.renamed(entry.name.replace(_BASE, ".")) for entry in entries]
    return entries, words


def _pruned(entries: Sequence[Named]) -> tuple[Sequence[Named], int]:
    """With `weight` in place of `weight_orig` and `weight_mask`, and how many."""
    by_name = {entry.name: entry for entry in entries}
    masks = {name.removesuffix("_mask"): entry for name, entry in by_name.items() if name.endswith("_mask")}
    pairs = {f"{name}_orig": (name, mask) for name, mask in masks.items() if f"{name}_orig" in by_name}
    used = {mask.name for _, mask in pairs.values()}
    made = []
    for entry in entries:
        if entry.name in pairs:
            name, mask = pairs[entry.name]
            made.append(Named(name, entry.group, _product(entry.stored, mask.stored), entry.of_module))
        elif entry.name not in used:
            made.append(entry)
    return made, len(pairs)


def _product(weight: Stored, mask: Stored) -> Stored:
    def load() -> torch.Tensor:
        values, kept = weight.load(), mask.load()
        if values.shape != kept.shape:
            raise InputError("has a pruning mask of another shape")
        return values * kept

    return Stored(weight.shape, weight.dtype, load, weight.place, weight.odd or mask.odd)
