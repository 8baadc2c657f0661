"""Archives of bundles, unpacked only where they have the form that `edgekit package` writes, within stated bounds.

Libraries read what is damaged as well as they can. Here the same bytes must mean the same to every reader, so that ZIP
archives are read by their structure: each header agrees with the directory, members touch and fill the file, nothing is
compressed, and nothing stands before, between or behind. Tar archives hold plain USTAR headers, and POSIX's for a
longer name alone.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from edgekit.errors import InputError
from edgekit.release.names import fault_in, first_fault
from edgekit.release.reasons import LIMITS, Refused
from edgekit.release.streams import Blocks, gunzip, unzstd
from edgekit.support.text import human_size

if TYPE_CHECKING:
    import tarfile

__all__ = ["FORMS", "form_of", "unpack", "unpack_container"]

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_LONGEST_COMMENT: Final = 0xFFFF
_UTF8: Final = 0x800  # flag: the name is UTF-8, which ASCII is too
_UNIX: Final = 3
_BLOCK: Final = 1 << 20
_LONGEST_RECORD: Final = 1 << 10  # bytes of an extended header of a tar archive
_Members = Iterator[tuple[str, Iterator[bytes]]]  # name and content, which is taken before the next name


@dataclass(frozen=True)
class _Member:
    """What the directory says of a member."""

    name: str
    raw: bytes
    flags: int
    stamp: tuple[int, int]
    crc: int
    size: int
    at: int


def form_of(path: Path) -> str | None:
    """Which form of archive a file's name says that it has; None for none."""
    return next((form for form in FORMS if path.name.endswith(f".{form}")), None)


def unpack(archive: Path, into: Path) -> tuple[Path, dict[str, str]]:
    """Unpack an archive into an empty folder; the folder at its top, and the SHA-256 of each file below that by name.

    Raises:
        Refused: says what of the archive is not as it should be.
        InputError: it cannot be read, or is no archive by its name.
    """
    form = form_of(archive)
    if form is None:
        raise InputError(f"{archive}: is no archive of a bundle; give a folder or one of {', '.join(FORMS)}")
    found = _unpack(form, archive, into, single=True)
    top = next(iter(found)).split("/", 1)[0] if found else "."
    return into / top, {name.removeprefix(f"{top}/"): digest for name, digest in found.items()}


def unpack_container(archive: Path, into: Path) -> dict[str, str]:
    """Unpack an archive within a bundle, an AAR: a ZIP archive of the same form, without one folder at its top.

    Returns the SHA-256 of each file below `into` by name; raises Refused.
    """
    return _unpack("zip", archive, into, single=False)


def _unpack(form: str, archive: Path, into: Path, *, single: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        with archive.open("rb") as file:
            for name, blocks in FORMS[form](file, _Names(archive, single=single), archive):
                found[name] = _write(into / name, blocks)
    except struct.error as error:
        raise Refused("archive-damaged", archive) from error
    return found


def _write(path: Path, blocks: Iterator[bytes]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    # O_EXCL: a name that is one with an earlier one on this file system is no second file.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for block in blocks:
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


class _Names:
    """What all members together must keep: the rule for names, the bounds, and a `single` folder at the top."""

    def __init__(self, archive: Path, *, single: bool) -> None:
        self._archive, self._single, self._names, self._bytes = archive, single, list[str](), 0

    def take(self, name: str, size: int) -> None:
        """Refused where a member may not be there beside the earlier ones."""
        if fault := fault_in(name):
            raise Refused(fault.reason, self._archive, f"{fault.name!r} {fault.why}")
        top = (self._names or [name])[0].split("/")[0]
        if self._single and not name.startswith(f"{top}/"):
            raise Refused("bad-name", self._archive, f"{name!r} is not in the one folder at the top")
        self._names.append(name)
        self._bytes += size
        if len(self._names) > LIMITS["files"]:
            raise Refused("too-many-files", self._archive, f"at most {LIMITS['files']}")
        if self._bytes > LIMITS["total_bytes"]:
            raise Refused("too-large", self._archive, f"at most {human_size(LIMITS['total_bytes'])}")

    def together(self) -> None:
        """Refused where two are one name."""
        if fault := first_fault(self._names):
            raise Refused(fault.reason, self._archive, f"{fault.name!r} {fault.why}")


def _zip(file: BinaryIO, names: _Names, archive: Path) -> _Members:
    """Each member's name and content; all headers are looked at before the first content."""
    members, end = _directory(file, archive)
    at = 0
    for member in members:
        names.take(member.name, member.size)
    names.together()
    for member in members:
        if member.at != at:
            raise Refused("archive-damaged", archive, f"{member.name} does not lie behind the member before it")
        file.seek(at)
        due = (b"PK\3\4", 20, member.flags, 0, *member.stamp, member.crc, member.size, member.size, len(member.raw), 0)
        head = file.read(_LOCAL.size + len(member.raw))
        if head != _LOCAL.pack(*due) + member.raw:
            raise Refused("archive-damaged", archive, f"{member.name} has a header that the directory does not know")
        at += len(head) + member.size
    if at != end:
        raise Refused("archive-damaged", archive, "bytes lie between the last member and the directory")
    for member in members:
        yield member.name, _stored(file, member, archive)


def _stored(file: BinaryIO, member: _Member, archive: Path) -> Iterator[bytes]:
    file.seek(member.at + _LOCAL.size + len(member.raw))
    left, crc = member.size, 0
    while left:
        block = file.read(min(left, _BLOCK))
        if not block:
            raise Refused("truncated", archive)
        left, crc = left - len(block), zlib.crc32(block, crc)
        yield block
    if crc != member.crc:
        raise Refused("archive-damaged", archive, f"{member.name} has another CRC-32")


def _directory(file: BinaryIO, archive: Path) -> tuple[list[_Member], int]:
    """What the directory says, and where it begins."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END.size))
    tail = file.read()
    if len(tail) < _END.size or tail[:4] != b"PK\5\6" or tail[-2:] != b"\0\0":
        file.seek(max(0, size - _END.size - _LONGEST_COMMENT))
        there = b"PK\5\6" in file.read()[: -_END.size + 4] if size >= _END.size else False
        raise Refused("archive-damaged" if there else "truncated", archive)
    _, disk, first, here, count, length, start, _ = _END.unpack(tail)
    if (disk, first, here) != (0, 0, count) or count == 0xFFFF or start + length != size - _END.size:
        raise Refused("archive-damaged", archive, "its end does not agree with it")
    if count > LIMITS["files"]:
        raise Refused("too-many-files", archive, f"{count}, at most {LIMITS['files']}")
    if length > LIMITS["document_bytes"]:
        raise Refused("too-large", archive, f"a directory of {human_size(length)}")
    file.seek(start)
    directory, members, at = file.read(length), list[_Member](), 0
    for _ in range(count):
        member, at = _member(directory, at, archive)
        members.append(member)
    if at != len(directory):
        raise Refused("archive-damaged", archive, "its directory does not agree with its end")
    return members, start


def _member(directory: bytes, at: int, archive: Path) -> tuple[_Member, int]:
    fields = _CENTRAL.unpack_from(directory, at)
    magic, made, need, flags, method, time, date, crc, packed, size, name, extra, comment, disk = fields[:14]
    attributes, start = fields[15:]
    raw = directory[at + _CENTRAL.size :][:name]
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Refused("bad-name", archive, f"{raw!r} is no UTF-8") from error
    if magic != b"PK\1\2" or len(raw) != name or flags & ~_UTF8 or extra or comment or disk or need != 20:
        raise Refused("archive-damaged", archive, "a member is encrypted, or has what EdgeKit does not write")
    if method:
        raise Refused("compressed-member", archive, repr(text))
    if made >> 8 == _UNIX and stat.S_IFMT(attributes >> 16) not in (0, stat.S_IFREG):
        raise Refused("not-a-plain-file", archive, repr(text))
    if packed != size:
        raise Refused("archive-damaged", archive, f"{text!r} has two sizes")
    return _Member(text, raw, flags, (time, date), crc, size, start), at + _CENTRAL.size + name


def _tar(stream: Callable[[BinaryIO, Path], Iterator[bytes]], file: BinaryIO, names: _Names, archive: Path) -> _Members:
    """Each member's name and content; all headers are looked at before the first content."""
    for name, size, content in _members(Blocks(stream(file, archive), archive), archive):
        names.take(name, size)
        for _ in content:
            pass
    names.together()
    file.seek(0)
    for name, _, content in _members(Blocks(stream(file, archive), archive), archive):
        yield name, content


def _members(blocks: Blocks, archive: Path) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    """Name, size and content of each member of a tar archive, and that nothing stands behind the last."""
    longer: str | None = None  # the next member's name, where its header has no room for it
    while (about := _header(blocks, archive)) is not None:
        if about.size < 0:
            raise Refused("archive-damaged", archive, f"{about.name!r} has a size below 0")
        if about.type == b"x" and longer is None and about.size <= _LONGEST_RECORD:
            longer = _path(b"".join(_content(blocks, about.size, archive)), archive)
            continue
        if about.type != b"0" or about.linkname:
            raise Refused("not-a-plain-file", archive, repr(about.name))
        yield longer or about.name, about.size, _content(blocks, about.size, archive)
        longer = None
    if longer is not None:
        raise Refused("truncated", archive)
    while rest := blocks.take(_BLOCK):
        if rest.count(0) != len(rest):
            raise Refused("archive-damaged", archive, "something stands behind its end")


def _header(blocks: Blocks, archive: Path) -> tarfile.TarInfo | None:
    """The next header; None at the end."""
    import tarfile

    head = blocks.take(tarfile.BLOCKSIZE)
    if len(head) < tarfile.BLOCKSIZE:
        raise Refused("truncated", archive)
    if head.count(0) == len(head):
        return None
    try:
        return tarfile.TarInfo.frombuf(head, "utf-8", "strict")
    except UnicodeDecodeError as error:
        raise Refused("bad-name", archive, "a name is no UTF-8") from error
    except (tarfile.TarError, ValueError) as error:
        raise Refused("archive-damaged", archive, "a header cannot be read") from error


def _path(record: bytes, archive: Path) -> str:
    """The name in an extended header of POSIX, which must state nothing else."""
    length, _, pair = record.partition(b" ")
    key, _, name = pair.removesuffix(b"\n").partition(b"=")
    if not length.isdigit() or int(length) != len(record) or key != b"path" or b"\n" in name:
        raise Refused("not-a-plain-file", archive, "an extended header states more than a name")
    return name.decode("utf-8", "replace")


def _content(blocks: Blocks, size: int, archive: Path) -> Iterator[bytes]:
    left = size
    while left:
        block = blocks.take(min(left, _BLOCK))
        if not block:
            raise Refused("truncated", archive)
        left -= len(block)
        yield block
    blocks.take(-size % 512)


FORMS: Final[dict[str, Callable[[BinaryIO, _Names, Path], _Members]]] = {
    "zip": _zip,
    "tgz": partial(_tar, gunzip),
    "tar.zst": partial(_tar, unzstd),
}
