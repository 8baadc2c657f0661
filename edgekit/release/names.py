"""Names of files in bundles: the same file on every file system, and none that leaves the folder it is put in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from edgekit.errors import InputError
from edgekit.support.text import shown

__all__ = ["LONGEST", "LONGEST_PART", "NameFault", "check_names", "fault_in", "first_fault"]

LONGEST: Final = 240  # characters, with the folder that an archive puts before a name
LONGEST_PART: Final = 100

# Printable ASCII alone: no two alphabets have letters that look alike, no system composes or folds it otherwise.
_PART: Final = re.compile(r"[!#-)+-.0-9;=@-\[\]-{}~ ]+")
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com\d|lpt\d)(\..*| *)?", re.IGNORECASE)


class NameFault(NamedTuple):
    """Why a name is refused: a reason of the table of reasons, the name, and the same in words."""

    reason: str
    name: str
    why: str


def fault_in(name: str) -> NameFault | None:
    """What is wrong with one name, a file's path in a bundle with forward slashes; None where it can be taken."""
    parts = name.split("/")
    if len(name) > LONGEST or any(len(part) > LONGEST_PART for part in parts):
        why = f"is longer than {LONGEST} characters, or {LONGEST_PART} in one part"
    elif any(part in ("", ".", "..") for part in parts):
        why = "is not a relative path that stays inside the folder"
    elif not all(_PART.fullmatch(part) for part in parts):
        why = 'has a character other than printable ASCII without \\ : * ? " < > |'
    elif any(part.endswith((".", " ")) or part.startswith(" ") for part in parts):
        why = "has a part that begins with a space, or ends with a space or a dot"
    elif any(_DEVICES.fullmatch(part) for part in parts):
        why = "is the name of a device on Windows"
    else:
        return None
    return NameFault("bad-name", name, why)


def first_fault(names: Iterable[str]) -> NameFault | None:
    """The first name that is bad, is there twice, or is another's on a file system that ignores case.

    A file that has the name of another file's folder is such a collision, too.
    """
    spelled: dict[str, str] = {}  # every file and folder, by its folded name
    files: set[str] = set()
    folders: set[str] = set()
    for name in names:
        if fault := fault_in(name):
            return fault
        if name in files:
            return NameFault("duplicate-name", name, "is there twice")
        parts = name.split("/")
        paths = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        for path in paths:
            known = spelled.setdefault(path.lower(), path)
            if known != path:
                return NameFault("name-collision", name, f"and {known} are one name where case does not count")
        if name in folders or not files.isdisjoint(paths[:-1]):
            return NameFault("name-collision", name, "and another are one name, of a file and of a folder")
        folders.update(paths[:-1])
        files.add(name)
    return None


def check_names(names: Iterable[str], where: str) -> None:
    """InputError names the first of `names` that no bundle can have; `where` says whose they are."""
    if fault := first_fault(names):
        raise InputError(f"{where}: {shown(fault.name, 200)!r} {fault.why}; give the file another name")
