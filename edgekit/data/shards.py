"""WebDataset shards: plain tar files, whose headers say where each sample's image is; nothing is unpacked."""

from __future__ import annotations

import glob
import itertools
import json
import math
import os
import re
import tarfile
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from edgekit.data.image_files import is_unread, readable
from edgekit.data.images import MAX_FILE_BYTES
from edgekit.data.tables import text_of
from edgekit.errors import InputError
from edgekit.support.text import shown

__all__ = ["MAX_FACTS", "MAX_SHARDS", "ShardIndex", "ShardReader", "find_shards"]

MAX_SHARDS = 100_000
MAX_FACTS = 2**20  # bytes of a .json or .cls
MAX_COLUMNS = 200
_MAX_OPEN = 8
_BRACES = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}|\{([^{},]*(?:,[^{},]*)+)\}", re.ASCII)


class ShardReader:
    """Reads bytes of tars by their place, also in a process that it was sent to; a few files stay open."""

    def __init__(self) -> None:
        self._handles: OrderedDict[tuple[int, Path], _Handle] = OrderedDict()

    def __reduce__(self) -> tuple[type[ShardReader], tuple[()]]:
        return ShardReader, ()

    def read(self, path: Path, offset: int, size: int, name: str) -> bytes:
        """The `size` bytes at `offset`; InputError, a line that starts with `name`, where they are not there."""
        length = min(size, MAX_FILE_BYTES + 1)
        try:
            handle = self._handle(path)  # held until it is read: another thread may be the one that closes it
            data = os.pread(handle.number, length, offset)
        except OSError as error:
            raise InputError(f"{name}: cannot be read ({error.strerror})") from None
        if len(data) < length:
            raise InputError(f"{name}: its shard was whole at first and is cut short now; fetch it again")
        return data

    def _handle(self, path: Path) -> _Handle:
        key = (os.getpid(), path)
        handle = self._handles.pop(key, None) or _Handle(path)
        self._handles[key] = handle
        if len(self._handles) > _MAX_OPEN:
            self._handles.popitem(last=False)
        return handle


class _Handle:
    """An open file, closed once nobody reads from it any more, other threads included."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


class ShardIndex:
    """What the headers of tars say: keys, and where each image's bytes are; fields are appended to `columns`.

    With `every`, each field that is text, a whole number or a boolean becomes a column. `links` are images that are no
    regular files, which nothing follows.
    """

    def __init__(self, columns: dict[str, list[str | None]], *, every: bool = False) -> None:
        self.keys: list[str] = []
        self.offsets, self.sizes = array("q"), array("q")
        self.seen: set[str] = set()  # names of fields
        self.unread: list[str] = []
        self.links: list[str] = []
        self._columns, self._every = columns, every

    def add(self, path: Path) -> None:
        """One more tar. Raises InputError where it cannot be read, is damaged or holds no sample with an image."""
        name, samples, unread = shown(path.name), len(self.keys), len(self.unread)
        try:
            with open(path, "rb") as stream:
                self._scan(stream, path.name)
        except OSError as error:
            raise InputError(f"{name} cannot be read ({error.strerror})") from None
        except _BadTar as error:
            raise InputError(f"{name} is {str(error).format(len(self.keys) - samples)}") from None
        if len(self.keys) == samples and len(self.unread) == unread:
            raise InputError(f"{name} holds no sample with an image; leave it out")

    def _scan(self, stream: BinaryIO, name: str) -> None:
        done: set[str] = set()
        links: list[str] = []
        for key, members in itertools.groupby(_members(stream, links), key=lambda member: _split(member.name)[0]):
            parts = list(members)
            if key in done:
                raise InputError(
                    f"{shown(name)}/{shown(key)}: its files are not next to each other; sort the shard by name"
                )
            done.add(key)
            try:
                self._add(key, parts, stream, name)
            except InputError as error:
                raise InputError(f"{shown(name)}/{shown(key)}: {error}") from None
        self.links += [f"{name}/{link}" for link in links]

    def _add(self, key: str, members: Sequence[tarfile.TarInfo], stream: BinaryIO, shard: str) -> None:
        suffixes = [_split(member.name)[1].lower() for member in members]
        if len(set(suffixes)) < len(suffixes):
            raise InputError("a file is there twice; write the shard again")
        named = dict(zip(suffixes, members, strict=True))
        dots = sorted((suffix.count("."), suffix) for suffix in suffixes if _is_image(suffix))
        if not dots:
            self.unread += [f"{shard}/{member.name}" for member in members if is_unread(member.name)][:1]
            return
        if len(dots) > 1 and dots[0][0] == dots[1][0]:
            raise InputError(
                f"has two images, .{shown(dots[0][1])} and .{shown(dots[1][1])}; keep one image per sample"
            )
        image = named[dots[0][1]]
        fields = self._read_fields(named, stream) if self._columns or self._every else {}
        if self._every:
            fields = {field: value for field, value in fields.items() if isinstance(value, str | int)}
            self._columns |= {field: [None] * len(self.keys) for field in fields if field not in self._columns}
            if len(self._columns) > MAX_COLUMNS:
                raise InputError(f"with it there are more than {MAX_COLUMNS} fields; name fewer in the .json files")
        for field, values in self._columns.items():
            try:
                values.append(text_of(fields.get(field)))
            except ValueError as error:
                raise InputError(f"its field {shown(field)!r} cannot be a label: {shown(str(error))}") from None
        self.keys.append(key)
        self.offsets.append(image.offset_data)
        self.sizes.append(image.size)

    def _read_fields(self, named: dict[str, tarfile.TarInfo], stream: BinaryIO) -> dict[str, object]:
        fields: dict[str, object] = {}
        for suffix in ("json", "cls"):
            if suffix not in named:
                continue
            if named[suffix].size > MAX_FACTS:
                raise InputError(f"its .{suffix} has {named[suffix].size} bytes, more than the {MAX_FACTS} allowed")
            stream.seek(named[suffix].offset_data)
            try:
                text = stream.read(named[suffix].size).decode("utf-8")
                content = {"cls": text.strip()} if suffix == "cls" else json.loads(text, parse_constant=_refuse)
            except (ValueError, RecursionError) as error:
                raise InputError(f"its .{suffix} is damaged ({shown(str(error))}); write the shard again") from None
            if not isinstance(content, dict):
                raise InputError(f"its .{suffix} is not a JSON object; write the shard again")
            fields |= content
        self.seen.update(fields.keys() & self._columns.keys())
        if len(self.seen) < 100:  # enough to say what there is
            self.seen.update(fields)
        return fields


class _BadTar(Exception):
    """What a shard is; {} stands for the number of samples before."""


_CUT = "cut short after {} samples; fetch it again or leave it out"
_DAMAGED = "damaged after {} samples; fetch it again or leave it out"
_NOT_TAR = "not a plain .tar file; write it again as one, without compression"


def _members(stream: BinaryIO, links: list[str]) -> Iterator[tarfile.TarInfo]:
    """The regular files of a tar that belong to samples, their data unread; raises _BadTar unless the tar is whole.

    Names of images that are links or devices are added to `links`.
    """
    whole = os.fstat(stream.fileno()).st_size
    tar: Any = None  # whose list of members its type does not have
    try:
        tar = tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
        while (member := tar.next()) is not None:
            tar.members = []  # it would keep them all
            if member.size < 0 or member.issparse():
                raise _BadTar(_DAMAGED)
            if not member.isreg() and _is_image(member.name):
                links.append(member.name)
            if member.isreg() and _split(member.name)[0]:
                yield member  # even one cut short: it tells whether the sample before has ended
            if member.offset_data + member.size > whole:
                raise _BadTar(_CUT)
    except tarfile.TarError:
        raise _BadTar(_NOT_TAR if tar is None and whole >= tarfile.BLOCKSIZE else _CUT) from None
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):  # hostile headers
        raise _BadTar(_DAMAGED) from None
    # tarfile takes any block that is no header for the end: only zeros may follow, two blocks at least
    if whole - tar.offset < 2 * tarfile.BLOCKSIZE:
        raise _BadTar(_CUT)
    stream.seek(tar.offset)
    while block := stream.read(1 << 20):
        if block.count(0) < len(block):
            raise _BadTar(_DAMAGED)


def _is_image(name: str) -> bool:
    return "." + name.lower().split(".")[-1] in readable()


def _split(name: str) -> tuple[str, str]:
    """Key and suffix of a member, by WebDataset's rule; the key is "" for a file that belongs to no sample."""
    folder, slash, base = name.rpartition("/")
    stem, dot, suffix = base.partition(".")
    return (folder + slash + stem, suffix) if stem and dot else ("", "")


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not a JSON number")


def find_shards(pattern: str) -> list[Path]:
    """The files that a pattern with * ? {000..015} {a,b} names, sorted; braces must all be there, globs may differ."""
    if "\0" in pattern:
        raise InputError("shards has a NUL character; give a path")
    paths: set[str] = set()
    for path in _expand(pattern):
        matches = glob.glob(path.replace("[", "[[]")) if "*" in path or "?" in path else [path]
        if not matches or not all(map(os.path.exists, matches)):
            raise InputError(f"no shard {shown(path)}; give a local path with * ? or {{000..015}}")
        paths.update(matches)
    for path in sorted(paths):
        if not path.lower().endswith(".tar"):
            raise InputError(f"{shown(path)} is {_NOT_TAR}")
        if not os.path.isfile(path):
            raise InputError(f"{shown(path)} is not a regular file; give .tar files")
    return [Path(path) for path in sorted(paths)]


def _expand(pattern: str) -> list[str]:
    pieces, end = [], 0
    for match in _BRACES.finditer(pattern):
        first, last, words = match.groups()
        if words is None:
            low, high = sorted((int(first), int(last)))
            width = max(len(first), len(last)) if first.startswith("0") or last.startswith("0") else 0
            choices = [str(number).zfill(width) for number in range(low, min(high, low + MAX_SHARDS) + 1)]
        else:
            choices = words.split(",")
        pieces += [[pattern[end : match.start()]], choices]
        end = match.end()
    pieces.append([pattern[end:]])
    if math.prod(map(len, pieces)) > MAX_SHARDS:
        raise InputError(f"{shown(pattern)} names more than {MAX_SHARDS} shards; name fewer")
    return ["".join(choice) for choice in itertools.product(*pieces)]
