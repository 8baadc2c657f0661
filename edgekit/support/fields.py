"""Fields of requests that take more than they keep: a path as text, a target by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

__all__ = ["AnyPath", "AnyPaths", "Converted", "OptionalPath", "PathField", "PathsField", "optional_path", "paths"]

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
