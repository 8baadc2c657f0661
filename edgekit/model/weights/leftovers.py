"""Tensors that the model has no place for: heads, which an embedding does without, or another architecture."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgekit.model.weights.readings import Reading, Wanted, unwrapped
from edgekit.model.weights.stored import Named

if TYPE_CHECKING:
    import torch

__all__ = ["sort_left"]

# What follows the pooled features in a classifier or in training, by the name of the part that the model lacks.
_HEADS = re.compile(
    r"(?!conv_|patch|pos_)(?:\w+_)?(?:heads?|classifiers?|logits?)(?:_dist|_l|_aux|_?\d+)?|"
    r"fc\d*|last_linear|cls|arcface|cosface|aux\w*|Aux\w+|loss\w*|criterion\w*|metrics?|margin|prototypes?|"
    r"projectors?|predictors?|decoder\w*|mask_token|queue\w*|logit_\w+|total_ops|total_params|n_averaged"
)


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
    for count in range(1, len(words)):
        if "".join(f"{word}." for word in words[:count]) not in branches:
            return ".".join(words[:count])
    return rest


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
