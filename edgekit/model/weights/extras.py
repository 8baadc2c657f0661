"""What a file has that the model has not: additions of training, taken off again, and tensors without a place.

Those are heads, which an embedding does without, or of another architecture.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch

from edgekit.errors import InputError
from edgekit.model.weights.readings import Reading, Wanted, unwrapped
from edgekit.model.weights.stored import Named, Stored, quote

__all__ = ["sort_left", "without_additions"]

_OBSERVERS = re.compile(r"(?:^|\.)(?:activation_post_process(?:_\d+)?|(?:weight|bias)_fake_quant)\.")
_ADAPTERS = re.compile(r"(?:^|\.)lora_\w+(?:\.|$)")
_BASE = ".base_layer."  # PEFT's name for the layer that an adapter is put around
# What follows the pooled features in a classifier or in training, by the name of the part that the model lacks.
_HEADS = re.compile(
    r"(?!conv_|patch|pos_)(?:\w+_)?(?:heads?|classifiers?|logits?)(?:_dist|_l|_aux|_?\d+)?|"
    r"fc\d*|last_linear|cls|arcface|cosface|aux\w*|Aux\w+|loss\w*|criterion\w*|metrics?|margin|prototypes?|"
    r"projectors?|predictors?|decoder\w*|mask_token|queue\w*|logit_\w+|total_ops|total_params|n_averaged"
)


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


def sort_left(
    entries: Sequence[Named], reading: Reading, wanted: Wanted, backbone: torch.nn.Module | None, widths: set[int]
) -> tuple[list[str], list[str], list[str]]:
    """(dropped, foreign, elsewhere): names in the part that was read whose values an embedding does without; those that
    say that the file is of another model; and names in other parts of the file.

    `widths` are the embedding's: a linear layer on top of it is a head, whatever its name.
    """
    names = unwrapped(entry.name for entry in entries)
    known = {short.removeprefix(reading.lead) for short in unwrapped(wanted.own).values()}
    branches = {"".join(f"{word}." for word in name.split(".")[:count]) for name in known for count in range(len(name))}
    groups = {entry.group for entry in reading.pairs.values()}
    taken = {entry.name for entry in (*reading.pairs.values(), *reading.misshapen.values())}
    start = f"{reading.prefix}." if reading.prefix else ""
    strays: defaultdict[str, list[Named]] = defaultdict(list)
    elsewhere = []
    for entry in entries:
        if entry.name in taken:
            continue
        rest = names[entry.name].removeprefix(start)
        near = names[entry.name].startswith(start) and (entry.group in groups or rest.split(".")[0] + "." in branches)
        if near:
            strays[_branch(rest, branches)].append(entry)
        else:
            elsewhere.append(entry.name)
    classifiers = _classifiers(backbone)
    dropped: list[str] = []
    foreign: list[str] = []
    for branch, inside in strays.items():
        harmless = (
            _is_head(branch)
            or any(branch == name or branch.startswith(f"{name}.") for name in classifiers)
            or all(_is_table(entry) for entry in inside)
            or (("." not in branch or _is_head(branch.rpartition(".")[0])) and _is_linear(inside, widths))
        )
        (dropped if harmless else foreign).extend(entry.name for entry in inside)
    return dropped, foreign, elsewhere


def _branch(rest: str, branches: set[str]) -> str:
    """The name up to the first part that the model does not have."""
    words = rest.split(".")
    starts = (".".join(words[:count]) for count in range(1, len(words)))
    return next((start for start in starts if f"{start}." not in branches), rest)


def _is_head(branch: str) -> bool:
    """By its name; within one of many equal blocks (blocks.0.mlp.fc3) such a name means a layer."""
    *above, last = branch.split(".")
    return bool(_HEADS.fullmatch(last)) and not any(word.isdigit() for word in above)


def _classifiers(backbone: Any) -> tuple[str, ...]:
    named = (getattr(backbone, "pretrained_cfg", None) or {}).get("classifier") or ()
    return (named,) if isinstance(named, str) else tuple(named)


def _is_table(entry: Named) -> bool:
    """A counter, a table of indices, or what a profiler counted: no weights."""
    if entry.name.rsplit(".", 1)[-1] in ("num_batches_tracked", "total_ops", "total_params"):
        return True
    dtype = entry.stored.dtype
    return dtype is not None and not dtype.is_floating_point and not dtype.is_complex


def _is_linear(inside: Sequence[Named], widths: set[int]) -> bool:
    """Linear layers, the first on an embedding: weights [N,C] and what has one value a channel."""
    weights = [entry.stored.shape for entry in inside if len(entry.stored.shape) == 2]
    return bool(weights) and weights[0][1] in widths and all(len(entry.stored.shape) <= 2 for entry in inside)
