"""A model's weights from a file that nobody vouches for: read without running its code, fitted, checked and copied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edgekit.errors import InputError
from edgekit.model.weights.extras import sort_left, without_additions
from edgekit.model.weights.files import read_tensors
from edgekit.model.weights.readings import Reading, Wanted, common, find_readings, preference, unwrap, wanted_by
from edgekit.model.weights.stored import Named, of_tensor, quote
from edgekit.model.weights.timm_layouts import laid_out_anew
from edgekit.support.text import reason_of, shown

__all__ = ["Taken", "apply_state_dict", "load_weights"]

_NORM = ".parametrizations.weight"
_WEIGHT_NORM = ((".weight_g", ".weight_v"), (f"{_NORM}.original0", f"{_NORM}.original1"))


@dataclass(frozen=True)
class Taken:
    """What was read of a weights file: `part` is the dotted name of the part taken, "" where it is the whole file.

    `left` are the names of that part's tensors that the model has no place for. `words` say all of it, `line` with the
    name of the file; `is_plain` is True where nothing was chosen, left or laid out anew.
    """

    file: str
    words: str
    part: str
    left: tuple[str, ...]
    is_plain: bool

    @property
    def line(self) -> str:
        """One line for the user: the file and what was taken from it."""
        return f"{self.file}: {self.words}"


@dataclass(frozen=True)
class _Choice:
    """A reading beside what it leaves."""

    reading: Reading
    entries: Sequence[Named]
    dropped: Sequence[str]
    foreign: Sequence[str]
    elsewhere: Sequence[str]


def load_weights(module: torch.nn.Module, path: Path, key: str | None = None) -> Taken:
    """Copy a checkpoint's weights into `module`, an Embedder or any module, and say what was taken.

    Which part of the file is meant is found by what fits: names and shapes, below whatever the tensors are nested in.
    Of several that fit, averaged weights come first, then a teacher's, then the others. `key` is the dotted name of the
    part to take instead. Values are cast to the model's dtype; nothing is copied on an error.

    Raises InputError, one line that begins with the file's name: unreadable or damaged, a pickle that asks for commands
    (nothing of any pickle is run), no part that fits the model, tensors that are no dense plain ones, NaN or infinity.
    """
    entries, notes = read_tensors(path)
    return _take(module, entries, notes, shown(str(path)), key)


def apply_state_dict(module: torch.nn.Module, state: Mapping[str, torch.Tensor], *, source: str) -> Taken:
    """The same from tensors in memory; messages begin with `source`."""
    return _take(module, [Named(name, "", of_tensor(value)) for name, value in state.items()], {}, shown(source), None)


def _take(
    module: torch.nn.Module, entries: Sequence[Named], notes: Mapping[str, str], source: str, key: str | None
) -> Taken:
    try:
        if not entries:
            raise InputError("holds no tensors; save model.state_dict()")
        wanted = wanted_by(module)
        given, additions = without_additions(_with_twins(_below(entries, key), notes), wanted)
        given = _as_torch_names(given, wanted)
        backbone = getattr(module, "backbone", None)
        choices = _choices(given, wanted, module)
        best = choices[0]
        if not best.reading.is_whole(wanted):
            anew = laid_out_anew(given, backbone, wanted)
            fits = (_choice(reading, made, wanted, module) for reading, made in anew if reading.is_whole(wanted))
            best = min(fits, key=_order, default=best)
        if best.foreign or not best.reading.is_whole(wanted):
            raise InputError(_misfit(best, wanted))
        state, changed = _values(best.reading, wanted)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    _copy(module, state, source)
    whole = [other for other in choices if other.reading.is_whole(wanted) and not other.foreign]
    also = [other for other in whole if _places(other) != _places(best)]
    return _taken(source, entries, best, also, changed, additions)


def _below(entries: Sequence[Named], key: str | None) -> Sequence[Named]:
    if not key:
        return entries
    named = [entry for entry in entries if f"{entry.name}.".startswith(f"{key}.")]
    named = named or [entry for entry in entries if f"{unwrap(entry.name)}.".startswith(f"{unwrap(key)}.")]
    if not named:
        tops = Counter(entry.group or entry.name.rpartition(".")[0] or entry.name for entry in entries)
        parts = ", ".join(f"{quote(name)} ({count})" for name, count in tops.most_common(6))
        raise InputError(f"has no part called {quote(key)}; parts of the file and their tensors: {parts}")
    return named


def _with_twins(entries: Sequence[Named], notes: Mapping[str, str]) -> Sequence[Named]:
    """With the names that a safetensors file notes as another's values."""
    by_name = {entry.name: entry for entry in entries}
    twins = [by_name[kept].renamed(name) for name, kept in notes.items() if kept in by_name and name not in by_name]
    return [*entries, *twins]


def _as_torch_names(entries: Sequence[Named], wanted: Wanted) -> Sequence[Named]:
    """With the names of weight normalisation that the model has: torch 2.0 renamed them."""
    for here, there in (_WEIGHT_NORM, _WEIGHT_NORM[::-1]):
        if any(name.endswith(here) for name in wanted.own) and not any(entry.name.endswith(here) for entry in entries):
            for ours, theirs in zip(here, there, strict=True):
                entries = [
                    entry.renamed(entry.name.removesuffix(theirs) + ours) if entry.name.endswith(theirs) else entry
                    for entry in entries
                ]
    return entries


def _choices(given: Sequence[Named], wanted: Wanted, module: torch.nn.Module) -> list[_Choice]:
    """Readings that are whole, the preferred one first; else the nearest one."""
    readings = find_readings(given, wanted)
    whole = [reading for reading in readings if reading.is_whole(wanted)]
    if whole:
        return sorted((_choice(reading, given, wanted, module) for reading in whole), key=_order)
    return [_choice(readings[0] if readings else Reading("", ""), given, wanted, module)]


def _choice(reading: Reading, entries: Sequence[Named], wanted: Wanted, module: torch.nn.Module) -> _Choice:
    backbone: Any = getattr(module, "backbone", None)
    widths = {getattr(module, "dim", 0), getattr(getattr(module, "projection", None), "in_features", 0)} - {0}
    return _Choice(reading, entries, *sort_left(entries, reading, wanted, backbone, widths))


def _order(choice: _Choice) -> tuple[bool, tuple[int, int, int]]:
    return bool(choice.foreign), preference(choice.reading)


def _places(choice: _Choice) -> set[object]:
    return {entry.stored.place for entry in choice.reading.pairs.values()}


def _misfit(best: _Choice, wanted: Wanted) -> str:
    """Why nothing fits: the nearest reading, what it lacks, and the first names of both sides."""
    reading = best.reading
    problems = []
    if missing := reading.missing(wanted):
        problems.append(f"{len(missing)} missing, first {quote(missing[0])}")
    if best.foreign:
        problems.append(f"{len(best.foreign)} unexpected, first {quote(best.foreign[0])}")
    if reading.misshapen:
        name, entry = next(iter(reading.misshapen.items()))
        shapes = f"{list(entry.stored.shape)} in the file, {list(wanted.own[name].shape)} in the model"
        problems.append(f"{len(reading.misshapen)} misshapen, first {quote(name)}: {shapes}")
    nearest = f"the part {quote(reading.part)}" if reading.part else "the whole file"
    advice = ""
    if missing and all(name.startswith("projection.") for name in missing) and not best.foreign:
        advice = "; the file has no projection: leave out `dim`, or train one"
    elif best.foreign and reading.is_whole(wanted):
        advice = "; the file looks like a larger model's, whose other weights would be lost"
    asked = [name for name in wanted.own if name not in wanted.spare]
    count = sum(name in reading.pairs for name in asked)
    here = ", ".join(quote(name) for name in list(wanted.own)[:3])
    there = ", ".join(quote(entry.name) for entry in list(best.entries)[:3])
    return (
        f"does not fit the model; nearest is {nearest} with {count} of {len(asked)} tensors by name "
        f"and shape; keys {'; '.join(problems)}{advice}; the model begins {here}; the file begins {there}"
    )


def _values(reading: Reading, wanted: Wanted) -> tuple[dict[str, torch.Tensor], Counter[str]]:
    """Checked values of the model's dtype by its names, and how many had which other dtype."""
    state: dict[str, torch.Tensor] = {}
    changed: Counter[str] = Counter()
    bad = []
    for name, entry in reading.pairs.items():
        try:
            value = entry.stored.load()
        except InputError as error:
            raise InputError(f"{quote(entry.name)} {error}; save plain weights") from None
        want = wanted.own[name]
        if value.layout is not torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise InputError(f"{quote(entry.name)} is not a dense tensor in memory; save plain weights")
        if (value.is_floating_point(), value.is_complex()) != (want.is_floating_point(), want.is_complex()):
            raise InputError(f"{quote(entry.name)} is {_word(value)}, of another kind than the model's {_word(want)}")
        if value.dtype != want.dtype and value.is_floating_point():
            changed[_word(value)] += 1
        state[name] = value.to(want.dtype)
        if not bool(torch.isfinite(state[name]).all()):
            bad.append(entry.name)
    if bad:
        raise InputError(f"NaN or infinite values in {len(bad)} of {len(state)} tensors, first {quote(bad[0])}")
    for name, value in list(state.items()):
        for twin in wanted.tied[name]:
            if twin in reading.pairs and not torch.equal(state[twin], value):
                raise InputError(
                    f"{quote(name)} and {quote(twin)} are one tensor in the model and two different ones in the file"
                )
    return state, changed


def _copy(module: torch.nn.Module, state: Mapping[str, torch.Tensor], source: str) -> None:
    """Into the module, and look whether they are there: hooks of a module may rename or drop what it is given."""
    before = {name: value.clone() for name, value in module.state_dict().items() if name in state}
    try:
        module.load_state_dict(dict(state), strict=False)
        after = module.state_dict()
        lost = next((name for name, value in state.items() if not torch.equal(after[name], value)), None)
        why = "" if lost is None else f"the model does not keep {quote(lost)} as the file gives it"
    except Exception as error:  # a stranger's hook
        why = reason_of(error)
    if why:
        for name, value in module.state_dict(keep_vars=True).items():
            if name in before:
                value.detach().copy_(before[name])
        raise InputError(f"{source}: cannot be loaded: {why}; a load_state_dict hook of the model stands in the way")


def _word(value: torch.Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _taken(
    source: str,
    entries: Sequence[Named],
    best: _Choice,
    also: Sequence[_Choice],
    changed: Counter[str],
    additions: Sequence[str],
) -> Taken:
    reading = best.reading
    words = [f"took {len(reading.pairs)} of {len(entries)} tensors"]
    if reading.part:
        words[0] += f", those under {quote(reading.part)}"
    of_module = any(entry.of_module for entry in reading.pairs.values())
    if of_module:
        words.append("of a pickled module, whose code was not run")
    if reading.layout:
        words.append(f"laid out anew by {reading.layout}")
    words += additions
    words += [f"{count} converted from {dtype}" for dtype, count in changed.most_common()]
    if best.dropped:
        words.append(f"left {_few(best.dropped)}, which the embedding does without")
    if best.elsewhere:
        tops = Counter(_top(name, reading.prefix) for name in best.elsewhere)
        words.append(f"left {_few([f'{name} ({count})' for name, count in tops.most_common()])}, of other parts")
    if also:
        parts = [other.reading.part or "the file itself" for other in also]
        words.append(f"{_few(parts)} would fit too: `weights_key` takes another")
    plain = not (of_module or reading.part or reading.layout or best.dropped or best.elsewhere or also or additions)
    return Taken(Path(source).name, "; ".join(words), reading.part, tuple(best.dropped), plain)


def _top(name: str, prefix: str) -> str:
    """The part that a name belongs to: one word beyond what it shares with the part that was taken."""
    words = name.split(".")
    return ".".join(words[: len(common(words, prefix.split("."))) + 1])


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(quote(name) for name in names[:3]) + more
