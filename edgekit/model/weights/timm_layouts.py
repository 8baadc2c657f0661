"""Checkpoints in timm's older layouts, or of another input size, through the filters of timm's own model files."""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch

from edgekit.model.weights.readings import Reading, Wanted, find_readings, preference, unwrap, unwrapped
from edgekit.model.weights.stored import Named, of_tensor

__all__ = ["laid_out_anew"]

_WORDS = ("model", "backbone", "encoder", "student", "teacher", "visual", "net", "network", "trunk", "ema")
_PARTS = 6  # of the file, those with most tensors first


def laid_out_anew(
    entries: Sequence[Named], backbone: torch.nn.Module | None, wanted: Wanted
) -> Iterator[tuple[Reading, Sequence[Named]]]:
    """Readings of what timm's filters, if `backbone` has any, make of the file's parts; and the tensors they made."""
    filters = _filters(backbone)
    for (prefix, inside), adapt in product(_parts(entries) if filters else (), filters):
        tensors = {name: named.stored.load() for name, named in inside.items() if not named.stored.odd}
        try:
            made = adapt(tensors, backbone)
        except Exception:  # a filter meant for another layout may fail in any way
            continue
        if not isinstance(made, dict) or not made:
            continue
        source = next(iter(inside.values())).group
        start = f"{prefix}." if prefix else ""
        given = [Named(f"{start}{key}", source, of_tensor(value)) for key, value in made.items()]
        for reading in find_readings(given, wanted)[:2]:
            reading.layout = f"timm's {getattr(adapt, 'func', adapt).__name__}"
            yield reading, given


def _filters(backbone: Any) -> list[Callable[..., Any]]:
    """The filters of the model's entry point's module and of its class's, as timm names them."""
    config = getattr(backbone, "pretrained_cfg", None) or {}
    places = [type(backbone).__module__]
    try:
        from timm.models import model_entrypoint

        places.insert(0, model_entrypoint(config["architecture"]).__module__)
    except Exception:  # a model that is not timm's, or none of its registry
        pass
    filters: dict[Any, None] = {}
    for place in places:
        if not place.startswith("timm."):
            continue
        for name, value in vars(sys.modules[place]).items():
            if "filter" not in name or not inspect.isfunction(value):
                continue
            known = list(inspect.signature(value).parameters)
            if known[:1] != ["state_dict"]:
                continue
            filters[value if len(known) > 1 else _of_one(value)] = None
            if "adapt_layer_scale" in known:
                filters[partial(value, adapt_layer_scale=True)] = None
    return list(filters)


def _of_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that takes no model."""

    def call(state: Any, _model: Any) -> Any:
        return function(state)

    call.__name__ = function.__name__
    return call


def _parts(entries: Sequence[Named]) -> list[tuple[str, dict[str, Named]]]:
    """Parts of the file that may be a state dict, preferred ones first: each dict, and what wraps a model in it."""
    sizes = Counter(entry.group for entry in entries)
    brief = unwrapped(entry.name for entry in entries)
    parts: dict[str, dict[str, Named]] = {}
    for group, _ in sizes.most_common(_PARTS):
        own = [entry for entry in entries if entry.group == group]
        start = unwrap(group)
        while True:
            inside = {name: entry for entry in own if (name := _below(brief[entry.name], start))}
            parts.setdefault(start, inside)
            following = Counter(name.split(".")[0] for name in inside if "." in name)
            word = next((word for word, _ in following.most_common() if word in _WORDS), None)
            if word is None:
                break
            start = f"{start}.{word}" if start else word
    whole = [(start, inside) for start, inside in parts.items() if inside]
    return sorted(whole, key=lambda part: preference(Reading(part[0], "", {"": next(iter(part[1].values()))})))


def _below(name: str, start: str) -> str | None:
    if not start:
        return name
    return name.removeprefix(f"{start}.") if name.startswith(f"{start}.") else None
