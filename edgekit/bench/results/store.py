"""A folder of result files is the data base: write into it, and find all that is there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Generic, TypeVar

from edgekit.bench.results.validity import judge_anew
from edgekit.bench.schema import Model, Result, read_result
from edgekit.errors import InputError, OutputError

__all__ = [
    "Keeper",
    "below",
    "digest_of",
    "find_results",
    "load",
    "make_folder",
    "require_past",
    "require_place",
    "save",
    "save_one",
    "stem",
]

_Document = TypeVar("_Document")
_SUFFIX = ".bench.json"


def require_place(folder: Path) -> None:
    """OutputError where the folder cannot be made: said before anything is measured that would be lost without it."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir() or not os.access(there, os.W_OK):
        why = "cannot be written" if there.is_dir() else "is no folder"
        raise OutputError(f"{folder}: cannot be made ({there} {why}); give another `out`", field="out")


def make_folder(folder: Path) -> None:
    """Make the folder; OutputError where that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); give another `out`", field="out") from error


def stem(started_utc: str, model: Model) -> str:
    """How the name of a file about a model begins, on every system: when it was begun, and of what it is."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in model.name)[:80]
    return f"{started_utc.replace(':', '').replace('-', '')}-{name}-{model.format}"


def save(results: Iterable[Result], folder: Path) -> list[Path]:
    """Write each result as a file of its own, the same one each time; names are of what is in it, safe everywhere."""
    make_folder(folder)
    return [save_one(result, folder) for result in results]


def save_one(result: Result, folder: Path) -> Path:
    """Write a result as `save` does."""
    make_folder(folder)
    begun = stem(result.started_utc, result.model)
    return result.write(folder / f"{begun}-{result.run_id[:8]}-{digest_of(result)[:8]}{_SUFFIX}")


class Keeper(Generic[_Document]):
    """Writes each document into a folder, where one is given, as it comes; OutputError where that cannot be made."""

    def __init__(self, folder: Path | None, write: Callable[[_Document, Path], Path]) -> None:
        if folder is not None:
            require_place(folder)
        # `lost`: of the documents that could not be written
        self.written, self.lost, self._folder, self._write = list[Path](), list[OutputError](), folder, write

    def keep(self, document: _Document | None) -> None:
        """Write it, where there is one."""
        try:
            self.written += [] if document is None or self._folder is None else [self._write(document, self._folder)]
        except OutputError as error:
            self.lost.append(error)


def digest_of(result: Result) -> str:
    """SHA-256 (hex) of all that it says."""
    return hashlib.sha256(result.to_json().encode()).hexdigest()


def load(path: Path) -> Result:
    """Read a result; its percentiles and its verdict are made anew. InputError where it is none, or of the future."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a result file")
    result = judge_anew(read_result(path))
    require_past(result, str(path))
    return result


def require_past(result: Result, where: str) -> None:
    """InputError where the clock of what measured is ahead: it would be the latest result for ever."""
    if result.started > datetime.now(UTC) + timedelta(days=1):
        raise InputError(
            f"{where}: was measured at {result.started_utc}, by a clock that is ahead; take the file away, set the "
            "clock and measure again"
        )


def below(folder: Path, suffix: str, refused: list[str]) -> list[Path]:
    """Files with that suffix in a folder; what could not be looked into is told."""
    files = []
    failed: list[OSError] = []
    for here, subfolders, names in os.walk(folder, onerror=failed.append):
        files += [Path(here, name) for name in names if name.endswith(suffix)]
        links = [Path(here, name) for name in subfolders if Path(here, name).is_symlink()]
        refused += [f"{link}: a link to a folder, which is not followed; name the folder itself" for link in links]
    refused += [f"{error.filename}: cannot be listed ({error.strerror}); allow reading it" for error in failed]
    return sorted(files)


def find_results(paths: Sequence[Path]) -> tuple[list[Result], list[str]]:
    """Every result of files and folders once, oldest first, and a line on each that is none; InputError without any."""
    files: list[Path] = []
    refused: list[str] = []
    for path in paths:
        inside = below(path, _SUFFIX, refused) if path.is_dir() else [path]
        files += inside
        if not inside:
            refused.append(f"{path}: no {_SUFFIX} file in it; `edgekit bench` writes some where it is given `out`")
    results: dict[str, Result] = {}
    for path in sorted(files, key=str):
        try:
            result = load(path)
        except InputError as error:
            refused.append(str(error))
            continue
        results[digest_of(result)] = result
    if not results:
        raise InputError(refused[0] if refused else "no results: name a file or a folder")
    return sorted(results.values(), key=lambda result: result.started), list(dict.fromkeys(refused))
