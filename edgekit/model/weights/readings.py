"""Ways to read a file as a model's state dict: which part of the file lies over which part of the model."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import torch

from edgekit.model.weights.stored import Named

__all__ = ["Reading", "Wanted", "common", "find_readings", "preference", "unwrap", "unwrapped", "wanted_by"]

# Left between names by torch.compile, DataParallel, FSDP, activation checkpointing and Opacus.
_WRAPPERS = frozenset(("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_module"))
_LOOKED_AT = 64  # readings, those with most tensors first
# Averaged weights first, as timm takes them; then a teacher, which is the student's average where both fit, as DINO
# takes it; what is only there to train last.
_PREFERENCE = (
    re.compile(r"(?:^|[._])(?:ema|swa|averaged?|avg|polyak)(?:[._]|$)"),
    re.compile(r"(?:^|[._])teacher(?:[._]|$)"),
)
_LAST = re.compile(r"(?:^|[._])(?:momentum|target|encoder_k|key_encoder|grads?|optim\w*|old|init)(?:[._]|$)")
_CONTAINERS = ("state_dict", "model", "model_state_dict")


@dataclass(frozen=True)
class Wanted:
    """What the model asks for: its tensors by name, which of them are one tensor, and which it can do without."""

    own: Mapping[str, torch.Tensor]
    tied: Mapping[str, Sequence[str]]  # every name to all names of its tensor
    spare: frozenset[str]  # counters and tables of integers, which the model has as it was built


@dataclass
class Reading:
    """The part of the file called `prefix` over the part of the model called `lead`."""

    prefix: str
    lead: str
    pairs: dict[str, Named] = field(default_factory=dict)  # by the model's name
    misshapen: dict[str, Named] = field(default_factory=dict)
    layout: str = ""  # what laid the file's tensors out anew, if anything did

    @property
    def part(self) -> str:
        """What people call the part: the prefix without what the model's own names begin with."""
        words, own = self.prefix.split("."), self.lead.split(".")[:-1]
        return ".".join(words[: len(words) - len(common(words[::-1], own[::-1]))])

    def missing(self, wanted: Wanted) -> list[str]:
        """The model's names that this reading leaves without values."""
        return [
            name
            for name in wanted.own
            if name not in wanted.spare
            and name not in self.misshapen
            and not any(twin in self.pairs for twin in wanted.tied[name])
        ]

    def is_whole(self, wanted: Wanted) -> bool:
        """Whether every tensor of the model has its values."""
        return not self.misshapen and not self.missing(wanted)


def wanted_by(module: torch.nn.Module) -> Wanted:
    """What a module needs of a file."""
    own = {name: value for name, value in module.state_dict().items() if isinstance(value, torch.Tensor)}  # extra state
    groups: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
    for name, value in own.items():
        empty = value.numel() == 0 or value.device.type == "meta"
        place = (name,) if empty else (value.data_ptr(), tuple(value.shape), value.stride(), value.dtype)
        groups[place].append(name)
    spare = {name for name, value in own.items() if not value.is_floating_point() and not value.is_complex()}
    tied = {name: names for names in groups.values() for name in names}
    return Wanted(own, tied, frozenset(spare))


def _is_neighbour(reading: Reading, parts: Mapping[str, Reading]) -> bool:
    """Whether it lies over another number of a list than its own (layers.1 over layers.0), and its own is there."""
    own, number = reading.lead.split(".")[-2:-1], reading.prefix.rpartition(".")[2]
    if not own or not own[0].isdigit() or not number.isdigit() or own[0] == number:
        return False
    return reading.prefix[: len(reading.prefix) - len(number)] + own[0] in parts


def unwrap(name: str) -> str:
    """The name without what wrapping modules left in it."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def unwrapped(names: Iterable[str]) -> dict[str, str]:
    """Each name unwrapped; one that would be empty or meet another stays as it is."""
    given = set(names)
    short = {name: unwrap(name) or name for name in given}
    times = Counter(short.values())
    return {
        name: brief if times[brief] == 1 and (brief == name or brief not in given) else name
        for name, brief in short.items()
    }


def find_readings(entries: Sequence[Named], wanted: Wanted) -> list[Reading]:
    """Readings by falling count of tensors that agree in name and shape."""
    brief = unwrapped(entry.name for entry in entries)
    own = unwrapped(wanted.own)
    both = (list(own.values()), [name for name in own.values() if name.startswith("backbone.")])
    shared = [common(*(name.split(".")[:-1] for name in names)) for names in both if names]
    leads = dict.fromkeys("".join(f"{word}." for word in words) for words in shared)
    readings: list[Reading] = []
    for lead in leads:
        rest = {short.removeprefix(lead): name for name, short in own.items() if short.startswith(lead)}
        deepest = max(name.count(".") for name in rest) + 1
        parts: dict[str, Reading] = {}
        for entry in entries:
            words = brief[entry.name].split(".")
            for count in range(1, min(deepest, len(words)) + 1):
                name = rest.get(".".join(words[-count:]))
                if name is None:
                    continue
                prefix = ".".join(words[:-count])
                reading = parts.setdefault(prefix, Reading(prefix, lead))
                fits = bool(entry.stored.odd) or entry.stored.shape == tuple(wanted.own[name].shape)
                (reading.pairs if fits else reading.misshapen)[name] = entry
        readings += [reading for reading in parts.values() if not _is_neighbour(reading, parts)]
    readings.sort(key=lambda reading: -len(reading.pairs))
    return readings[:_LOOKED_AT]


def preference(reading: Reading) -> tuple[int, int, int]:
    """What to take first of several that fit: the lowest."""
    first = next(iter(reading.pairs.values()), None)
    # Where its tensors are in the file, with the wrappers' words.
    prefix = (reading.prefix if first is None else f"{first.group}.{reading.prefix}").lower()
    kind = next((rank for rank, words in enumerate(_PREFERENCE) if words.search(prefix)), len(_PREFERENCE))
    if _LAST.search(prefix):
        kind = len(_PREFERENCE) + 1
    top = prefix.split(".", 1)[0]
    order = _CONTAINERS.index(top) if top in _CONTAINERS else len(_CONTAINERS)
    return kind, order, prefix.count(".")


def common(*names: Sequence[str]) -> list[str]:
    """The words that all names, as lists of words, begin with."""
    columns = zip(*names, strict=False)
    return [column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns)]
