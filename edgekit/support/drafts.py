"""Folders of unfinished work: locked by the process that fills them, removed once it is done, or dead.

A draft of NAME is `.NAME.partial-` and 12 hex digits, beside NAME. Only a killed process leaves one; the next draft in
that place removes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
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
from edgekit.support.text import human_size

__all__ = [
    "FULL",
    "TOO_LITTLE",
    "draft",
    "full_place",
    "is_full",
    "publishable",
    "scratch",
    "sweep",
    "sync",
    "user_cache",
]

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NAME = re.compile(r"\..+\.partial-[0-9a-f]{12}", re.DOTALL)
TOO_LITTLE = 1 << 16  # bytes free, with which a disk counts as full: no file system gives away the last block
# How libraries say it that let the system's error number go.
_SAID = ("no space left", "not enough space", "disk full", "disk is full", "disk quota exceeded")
_ADVICE = "make room there, or set TMPDIR to a folder with more"
# What has another reason than a lack of room.
_CLEAR = (UsageError, UnsupportedOpError, InconclusiveError, MissingDependencyError, OutputError)


@contextlib.contextmanager
def draft(parent: Path, name: str, mode: int = 0o777) -> Iterator[Path]:
    """A new folder in `parent` for what will be called `name`; removed in the end with all that is still in it.

    Drafts of dead processes in `parent` are removed first. Raises OSError where the folder cannot be made.
    """
    sweep(parent)
    folder, lock = parent / f".{name}.partial-{secrets.token_hex(6)}", -1
    try:
        try:
            lock = _create(folder, mode)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:  # Ctrl-C may come while the folder is made or removed: once more, then
        shutil.rmtree(folder, ignore_errors=True)
        if lock >= 0:
            os.close(lock)


def sweep(parent: Path) -> list[Path]:
    """Remove the drafts in `parent` whose processes are dead; returns them. A folder that is not there holds none."""
    removed = []
    with contextlib.suppress(OSError):
        for path in [Path(entry.path) for entry in os.scandir(parent) if _NAME.fullmatch(entry.name)]:
            with contextlib.suppress(OSError):
                lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path)
                    removed.append(path)
                finally:
                    os.close(lock)
    return removed


def _create(folder: Path, mode: int) -> int:
    """Make the folder; the descriptor that holds a lock on it for as long as this process lives."""
    while True:
        folder.mkdir(mode)
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        # A file system without locks goes on without: its leftovers then stay (`sweep` needs the lock).
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Another process may have taken the folder for a leftover before it was locked.
        if os.fstat(lock).st_nlink > 0 and folder.is_dir():
            return lock
        os.close(lock)


def publishable(path: Path, draft: Path) -> None:
    """Give a file or folder in `draft` the permissions that the umask gives new ones, which `draft` itself has.

    Whoever writes through `tempfile` (safetensors, for one) leaves files that nobody else may read.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    allowed = stat.S_IMODE(draft.stat().st_mode) & 0o777
    runs = path.is_dir() or bool(mode & 0o100)
    wanted = (mode & 0o7000) | (allowed if runs else allowed & 0o666)
    if mode != wanted:
        path.chmod(wanted)


def sync(path: Path) -> None:
    """Put the bytes of a file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_full(error: BaseException | None) -> bool:
    """Whether `error`, or what caused it, is that a disk has no room: by its number, or in words."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        if any(words in str(error).lower() for words in _SAID):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def scratch(need: int = 0) -> Iterator[Path]:
    """A folder in the temporary one that this process and its children have for their temporary files meanwhile.

    Toolchains leave theirs behind: it is removed in the end, whatever happened, with all that is in it. `need` are the
    bytes that are likely to be put there: where there was less room from the start, a failure is told as that.

    Raises:
        OutputError: there is no temporary folder that can be written, or it is full.
    """
    stack = contextlib.ExitStack()
    try:
        place = Path(tempfile.gettempdir())
        folder = stack.enter_context(draft(place, "edgekit", 0o700))
    except OSError as error:
        where = error.filename or os.environ.get("TMPDIR") or "the temporary folder"
        raise OutputError(
            f"{where}: no temporary file can be written ({error.strerror or error}); {_ADVICE}"
        ) from error
    room = shutil.disk_usage(place).free
    with stack:
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


def user_cache() -> Path:
    """The folder that keeps what programs can make again: $XDG_CACHE_HOME, else ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def full_place() -> Path | None:
    """Which of the folders that libraries write to without being asked has no room left; None where all have."""
    home = user_cache()
    for place in (Path(os.environ.get("TMPDIR") or "/tmp"), home, Path(os.environ.get("HF_HOME") or home), Path.cwd()):
        with contextlib.suppress(OSError):
            if shutil.disk_usage(place).free < TOO_LITTLE:
                return place
    return None
