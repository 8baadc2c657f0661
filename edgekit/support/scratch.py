"""A temporary folder of our own around toolchains, which leave theirs behind and say in many ways that one is full."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgekit.errors import (
    InconclusiveError,
    MissingDependencyError,
    OutputError,
    ParityError,
    UnsupportedOpError,
    UsageError,
)
from edgekit.support.drafts import TOO_LITTLE, create, is_full, sweep
from edgekit.support.files import human_size

__all__ = ["full_place", "scratch"]

_ADVICE = "make room there, or set TMPDIR to a folder with more"
# What has another reason than a lack of room.
_CLEAR = (UsageError, UnsupportedOpError, InconclusiveError, MissingDependencyError, OutputError)


@contextlib.contextmanager
def scratch(need: int = 0) -> Iterator[Path]:
    """A folder in the temporary one that this process and its children have for their temporary files meanwhile.

    Toolchains leave theirs behind: it is removed in the end, whatever happened, with all that is in it. `need` are the
    bytes that are likely to be put there: where there was less room from the start, a failure is told as that.

    Raises:
        OutputError: there is no temporary folder that can be written, or it is full.
    """
    try:
        place = Path(tempfile.gettempdir())
        sweep(place)
        folder, lock = create(place, "edgekit", 0o700)
    except OSError as error:
        where = error.filename or os.environ.get("TMPDIR") or "the temporary folder"
        raise OutputError(
            f"{where}: no temporary file can be written ({error.strerror or error}); {_ADVICE}"
        ) from error
    room = shutil.disk_usage(place).free
    try:
        with _temporary(folder):
            yield folder
    except _CLEAR:
        raise
    except Exception as error:
        if not _for_lack_of_room(error, folder, room, need):
            raise
        had = f"{human_size(room)} were free" + (f", about {human_size(need)} are needed" if need > room else "")
        raise OutputError(f"{place}: the temporary folder is full ({had}); {_ADVICE}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _for_lack_of_room(error: Exception, folder: Path, room: int, need: int) -> bool:
    if shutil.disk_usage(folder).free < TOO_LITTLE:
        return True
    if isinstance(error, OSError):  # of our own code; a write that failed names no file, and is of the result
        named = error.filename is not None and Path(os.fsdecode(error.filename)).is_relative_to(folder)
        return named and is_full(error)
    return not isinstance(error, ParityError) and (is_full(error) or room < need)


@contextlib.contextmanager
def _temporary(folder: Path) -> Iterator[None]:
    """Let `tempfile`, and what reads TMPDIR, use `folder`; process-wide while it lasts."""
    cached, before = tempfile.tempdir, dict(os.environ)
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = cached
        for name, value in list(os.environ.items()):
            if value.startswith(str(folder)):  # TMPDIR, and where torch's compiler has noted its cache
                del os.environ[name]
                if name in before:
                    os.environ[name] = before[name]


def full_place() -> Path | None:
    """Which of the folders that libraries write to without being asked has no room left; None where all have."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for place in (Path(os.environ.get("TMPDIR") or "/tmp"), home, Path(os.environ.get("HF_HOME") or home), Path.cwd()):
        with contextlib.suppress(OSError):
            if shutil.disk_usage(place).free < TOO_LITTLE:
                return place
    return None
