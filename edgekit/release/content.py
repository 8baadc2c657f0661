"""The files of a folder, compared with what was signed: no file more, none less, none another."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edgekit.errors import InputError
from edgekit.release.bundle import RELEASE, SIGNATURE
from edgekit.release.names import LONGEST, first_fault
from edgekit.release.reasons import LIMITS, Refused
from edgekit.support.files import sha256_file
from edgekit.support.progress import Tick
from edgekit.support.text import human_size

__all__ = ["below", "compare", "hash_files", "list_content"]

_RELEASE: Final = 8  # a release may have so many times the bytes of a bundle


def list_content(folder: Path) -> list[str]:
    """The names of all files below a folder but its own signature, sorted.

    Raises:
        Refused: not-a-plain-file, too-many-files, bad-name, name-collision or too-large.
        InputError: a folder cannot be listed.
    """
    names: list[str] = []
    waiting, seen, size = [""], 0, 0
    while waiting:
        here = waiting.pop()
        try:
            entries = sorted(os.scandir(folder / here), key=lambda entry: entry.name)
        except OSError as error:
            raise InputError(f"{folder / here}: cannot be listed ({error.strerror})") from error
        for entry in entries:
            name, seen = f"{here}{entry.name}", seen + 1
            if entry.is_dir(follow_symlinks=False):
                if len(name) > LONGEST:
                    raise Refused("bad-name", folder, f"{name!r} is too long")
                waiting.append(f"{name}/")
            elif not entry.is_file(follow_symlinks=False):
                raise Refused("not-a-plain-file", folder / name)
            elif name != SIGNATURE:
                names.append(name)
                size += entry.stat(follow_symlinks=False).st_size
            if seen > 2 * LIMITS["files"]:  # empty folders do not count, but take time
                raise Refused("too-many-files", folder, f"at most {LIMITS['files']}")
    if len(names) > LIMITS["files"]:
        raise Refused("too-many-files", folder, f"{len(names)}, at most {LIMITS['files']}")
    names.sort()
    if fault := first_fault(names):
        raise Refused(fault.reason, folder, f"{fault.name!r} {fault.why}")
    most = LIMITS["total_bytes"] * (_RELEASE if (folder / RELEASE).exists() else 1)
    if size > most:  # before any is hashed: a file may claim more than a disk holds
        raise Refused("too-large", folder, f"{human_size(size)}, at most {human_size(most)}")
    return names


def hash_files(folder: Path, names: list[str], tick: Tick) -> dict[str, str]:
    """The SHA-256 of each file; InputError where one cannot be read."""
    digests = {}
    for done, name in enumerate(names):
        tick(done, len(names), name)
        digests[name] = sha256_file(folder / name)
    return digests


def below(found: Mapping[str, str], folder: str) -> dict[str, str]:
    """Of the hashes of all files those in one folder, by the names that they have there."""
    return {name.removeprefix(f"{folder}/"): found[name] for name in found if name.startswith(f"{folder}/")}


def compare(where: Path, due: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Compare hashes by name; `found` may hold "" for a file that was not hashed.

    Raises:
        Refused: file-missing, file-extra or file-changed, of the first file by name.
    """
    for reason, names in (("file-missing", due.keys() - found.keys()), ("file-extra", found.keys() - due.keys())):
        if names:
            raise Refused(reason, where / min(names))
    for name in sorted(due):
        if found[name] and found[name] != due[name]:
            raise Refused("file-changed", where / name)
