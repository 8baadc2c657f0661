"""Fields of requests that take more than they keep: a path as text, a target by its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Generic, TypeVar

from edgekit.errors import UsageError

__all__ = [
    "AnyPath",
    "AnyPaths",
    "Converted",
    "OptionalPath",
    "PathField",
    "PathsField",
    "check_number",
    "optional_path",
    "paths",
]

_Given = TypeVar("_Given")
_Kept = TypeVar("_Kept")
_REQUIRED: Any = object()


class Converted(Generic[_Given, _Kept]):
    """A field of a dataclass that is set with what `convert` takes, and holds what it gives.

    `out: Converted[Path | str, Path] = Converted(Path)`. `convert` must give what it gave back unchanged.
    """

    def __init__(self, convert: Callable[[_Given], _Kept], default: _Kept = _REQUIRED) -> None:
        self._convert, self._default = convert, default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, request: object | None, owner: type) -> _Kept:
        if request is not None:
            kept: _Kept = request.__dict__[self._name]
            return kept
        if self._default is _REQUIRED:  # which tells `dataclass` that there is no default
            raise AttributeError(self._name)
        return self._default

    def __set__(self, request: object, given: _Given) -> None:
        request.__dict__[self._name] = self._convert(given)


def check_number(field: str, value: object, low: float, high: float = math.inf, *, whole: bool = True) -> None:
    """Refuse what is no number from `low` to `high`.

    Raises:
        UsageError: names the field.
    """
    kind = Integral if whole else Real
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= float(value) <= high:
        limits = f"of {low:g} or more" if high == math.inf else f"from {low:g} to {high:g}"
        raise UsageError(f"`{field}` is {value!r}; give a {'whole ' if whole else ''}number {limits}", field=field)


def optional_path(given: Path | str | None) -> Path | None:
    """A path that may be missing."""
    return None if given is None else Path(given)


def paths(given: Path | str | Sequence[Path | str]) -> tuple[Path, ...]:
    """Paths, of which there may be one without a list around it."""
    return (Path(given),) if isinstance(given, Path | str) else tuple(map(Path, given))


AnyPath = Path | str
AnyPaths = AnyPath | Sequence[AnyPath]
PathField = Converted[AnyPath, Path]
OptionalPath = Converted[AnyPath | None, Path | None]
PathsField = Converted[AnyPaths, tuple[Path, ...]]
