"""A folder of result files is the data base: write into it, and find all that is there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edgekit.bench.results.validity import judge_anew
from edgekit.bench.schema import Result, read_result
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
    "safe_name",
    "save",
]

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


def safe_name(name: str) -> str:
    """A model's name as a part of a file's, on every system."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name)[:80]


def save(results: Iterable[Result], folder: Path) -> list[Path]:
    """Write each result as a file of its own, the same one each time; names are of what is in it, safe everywhere."""
    make_folder(folder)
    paths = []
    for result in results:
        name = safe_name(result.model.name)
        stamp = result.started_utc.replace(":", "").replace("-", "")
        path = folder / f"{stamp}-{name}-{result.model.format}-{result.run_id[:8]}-{digest_of(result)[:8]}{_SUFFIX}"
        paths.append(result.write(path))
    return paths


class Keeper:
    """Writes each result into a folder, where one is given, as it comes; OutputError where that cannot be made."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            require_place(folder)
        # `lost`: of the results that could not be written
        self.written, self.lost, self._folder = list[Path](), list[OutputError](), folder

    def keep(self, result: Result | None) -> None:
        """Write it, where there is one."""
        try:
            self.written += [] if result is None or self._folder is None else save([result], self._folder)
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
