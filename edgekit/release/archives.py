"""Archives whose bytes depend on nothing but the names and contents of their files."""

from __future__ import annotations

import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from edgekit.release.names import check_names
from edgekit.release.streams import need_zstandard
from edgekit.support.files import list_files

__all__ = ["ARCHIVES", "ArchiveForm", "files_of", "write_archive", "write_tar_zst", "write_tgz", "write_zip"]

Files = Mapping[str, Path]  # the name in the archive -> the file
_BLOCK: Final = 1 << 20
_MODE: Final = 0o644
_STORED: Final = 0xFFFF  # bytes of a stored deflate block, RFC 1951, 3.2.4
_GZIP_HEAD: Final = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255))  # RFC 1952: no name, no time, of no system
_ZSTD_LEVEL: Final = 12


def files_of(folder: Path, top: str = "") -> dict[str, Path]:
    """Every file below `folder` by its name in an archive, where it lies below `top`.

    InputError on a link or a special file, and on a name that no bundle can have.
    """
    names = list_files(folder)
    check_names(names, str(folder))
    return {f"{top}/{name}" if top else name: folder / name for name in names}


def write_zip(files: Files, path: Path) -> None:
    """Write members as they are (method 0), of 1 January 1980, sorted: a reader needs no inflater.

    An AAR and a JAR are such archives, too. InputError on a name that no bundle can have.
    """
    check_names(files, path.name)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            member.create_system, member.external_attr = 3, (0o100000 | _MODE) << 16
            member.file_size = files[name].stat().st_size
            with open(files[name], "rb") as source, archive.open(member, "w") as target:
                while block := source.read(_BLOCK):
                    target.write(block)


def write_tar_zst(files: Files, path: Path) -> None:
    """Write a tar archive through Zstandard at one level, in one thread.

    Raises:
        InputError: a name that no bundle can have.
        MissingDependencyError: zstandard is not installed.
    """
    compressor = need_zstandard().ZstdCompressor(level=_ZSTD_LEVEL, threads=0, write_checksum=True)
    with open(path, "wb") as stream, compressor.stream_writer(stream, closefd=False) as packed:
        _write_tar(files, packed, path.name)


def write_tgz(files: Files, path: Path) -> None:
    """Write a tar archive as gzip of stored blocks, which are the same from every compressor.

    InputError on a name that no bundle can have.
    """
    with open(path, "wb") as stream, _StoredGzip(stream) as packed:
        _write_tar(files, packed, path.name)


@dataclass(frozen=True)
class ArchiveForm:
    """One form of archive: what writes it, and the folder at its top, a pattern of `name` and `version`."""

    write: Callable[[Files, Path], None]
    top: str


ARCHIVES: Final[dict[str, ArchiveForm]] = {
    "zip": ArchiveForm(write_zip, "{name}-{version}"),
    "tar.zst": ArchiveForm(write_tar_zst, "{name}-{version}"),
    "tgz": ArchiveForm(write_tgz, "package"),  # as npm has it
}


def write_archive(form: str, folder: Path, place: Path, name: str, version: str) -> Path:
    """Write all of `folder` to NAME-VERSION.FORM in `place`; InputError on a file that no bundle can have."""
    row = ARCHIVES[form]
    path = place / f"{name}-{version}.{form}"
    row.write(files_of(folder, row.top.format(name=name, version=version)), path)
    return path


def _write_tar(files: Files, stream: Any, name: str) -> None:
    check_names(files, name)
    members = [_member(inside, files[inside]) for inside in sorted(files)]
    form = tarfile.USTAR_FORMAT if all(map(_fits, members)) else tarfile.PAX_FORMAT
    # "w|": the stream is written in one pass, in blocks of one size.
    with tarfile.open(fileobj=stream, mode="w|", format=form, bufsize=_BLOCK) as archive:
        for member in members:
            with open(files[member.name], "rb") as source:
                archive.addfile(member, source)


def _member(name: str, path: Path) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)  # user and group 0 without names, time 0
    member.mode, member.size = _MODE, path.stat().st_size
    return member


def _fits(member: tarfile.TarInfo) -> bool:
    """Whether a header of USTAR has room for its name, and for its size, which is below 8 GiB there."""
    try:
        member.tobuf(tarfile.USTAR_FORMAT)
    except ValueError:
        return False
    return True


class _StoredGzip:
    """A gzip stream of stored blocks, each full but the last."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._held, self._crc, self._size = stream, bytearray(), 0, 0

    def __enter__(self) -> _StoredGzip:
        self._stream.write(_GZIP_HEAD)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._put(bytes(self._held), last=True)
            self._stream.write(struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))

    def write(self, data: bytes) -> int:
        self._crc, self._size = zlib.crc32(data, self._crc), self._size + len(data)
        self._held += data
        full = (len(self._held) - 1) // _STORED * _STORED  # the last block is known as such at the end alone
        for start in range(0, full, _STORED):
            self._put(bytes(self._held[start : start + _STORED]), last=False)
        del self._held[: max(full, 0)]
        return len(data)

    def _put(self, block: bytes, *, last: bool) -> None:
        self._stream.write(struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block)
