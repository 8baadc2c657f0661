"""Files of torch.save: where a pickle is in them, and where the bytes of each storage are."""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch

from edgekit.errors import InputError
from edgekit.model.weights.pickles import Global, Made, Persistent, bytes_of, read_pickle
from edgekit.model.weights.stored import dtype_called

__all__ = ["Archive", "Storage", "dtype_named", "open_bytes", "open_zip", "values"]

_MAGIC = 0x1950A86A20F9469CFC6C  # of torch.save before 1.6
_DTYPES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64", "Int": "int32",
    "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool", "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
}  # fmt: skip
_PROGRAMS = ("constants.pkl", "archive_format", "models/", "code/", "serialized_exported_program.json")


@dataclass(frozen=True)
class Storage:
    """Bytes `start` to `start + size` of `buffer`; the dtype is None where each tensor says its own."""

    buffer: mmap.mmap | bytes
    start: int
    size: int
    dtype: torch.dtype | None
    place: Hashable


@dataclass(frozen=True)
class Archive:
    """The pickle's content, and what finds the storage that a persistent id names."""

    content: Any
    storage: Callable[[Any], Storage]


def dtype_named(name: str) -> torch.dtype | None:
    """The dtype of "torch.FloatStorage", "torch.cuda.HalfStorage" or "torch.float32"; None where it is none."""
    last = name.rsplit(".", 1)[-1]
    return dtype_called(_DTYPES.get(last.removesuffix("Storage"), last))


def values(storage: Storage, dtype: torch.dtype) -> torch.Tensor:
    """All values of a storage [N] of `dtype`, mapped from the file where they are aligned."""
    count = storage.size // dtype.itemsize
    if not count:
        return torch.empty(0, dtype=dtype)
    if storage.start % dtype.itemsize or isinstance(storage.buffer, bytes):
        part = bytearray(storage.buffer[storage.start : storage.start + count * dtype.itemsize])
        return torch.frombuffer(part, dtype=dtype)
    return torch.frombuffer(storage.buffer, dtype=dtype, count=count, offset=storage.start)


def open_zip(path: Path, buffer: mmap.mmap) -> Archive:
    """A zip file of torch.save; InputError where it is another kind of zip file, or not one that torch.save writes."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names):
        raise InputError("a zip archive with two entries of the same name; save it again")
    pickles = [name for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
    root = pickles[0].removesuffix("data.pkl") if pickles else ""
    if any(name.removeprefix(root or name.split("/")[0] + "/").startswith(_PROGRAMS) for name in names):
        raise InputError("a program (TorchScript or torch.export), not a state dict; save model.state_dict()")
    if len(pickles) != 1:
        raise InputError("a zip archive that torch.save did not write; unpack it, and give the weights in it")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
        raise InputError("a compressed archive, which torch.save never writes; save it again")
    places = {entry.filename: _data_of(entry, buffer) for entry in entries}
    start, size = places.get(f"{root}byteorder", (0, 0))
    if buffer[start : start + size].strip() == b"big":
        raise InputError("saved on a big-endian machine; load and save it on another")
    start, size = places[pickles[0]]
    content = read_pickle(io.BytesIO(buffer[start : start + size]))

    def storage(saved: Any) -> Storage:
        kind, key, count = _saved(saved)
        place = places.get(f"{root}data/{key}")
        if place is None:
            raise InputError(f"the values of a tensor are not in the file (data/{key[:40]}); fetch or save it again")
        return _storage(buffer, *place, kind, count, key)

    return Archive(content, storage)


def _data_of(entry: zipfile.ZipInfo, buffer: mmap.mmap) -> tuple[int, int]:
    """Where a stored entry's bytes begin and how many there are: behind a header of 30 bytes and two stated lengths."""
    header = buffer[entry.header_offset : entry.header_offset + 30]
    if header[:4] != b"PK\x03\x04" or len(header) < 30:
        raise ValueError("an entry of the archive is not where its index says")
    start = entry.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
    if entry.file_size != entry.compress_size or start + entry.file_size > len(buffer):
        raise ValueError("an entry of the archive is longer than the file")
    return start, entry.file_size


def open_bytes(buffer: mmap.mmap | bytes, *, inner: bool = False) -> Archive:
    """A file of torch.save before 1.6, or a plain pickle; `inner`: of a storage that a plain pickle holds."""
    stream = io.BytesIO(buffer) if isinstance(buffer, bytes) else buffer
    stream.seek(0)
    first = read_pickle(stream)  # type: ignore[arg-type]  # a memory map reads as a file does
    if first != _MAGIC:
        return Archive(first, _refuse if inner else _nested)
    read_pickle(stream)  # type: ignore[arg-type]  # the version of the protocol
    facts = read_pickle(stream)  # type: ignore[arg-type]
    if not isinstance(facts, dict) or not facts.get("little_endian", True):
        raise InputError("saved on a big-endian machine; load and save it on another")
    content = read_pickle(stream)  # type: ignore[arg-type]
    keys = read_pickle(stream)  # type: ignore[arg-type]
    dtypes = {_saved(saved)[1]: _saved(saved)[0] for saved in _storages(content)}
    places, position = {}, stream.tell()
    for key in keys:
        dtype = dtypes.get(_key(key))
        if dtype is None:
            raise ValueError("a storage that no tensor uses")
        (count,) = struct.unpack("<q", buffer[position : position + 8])
        size = count * dtype.itemsize
        if count < 0 or position + 8 + size > len(buffer):
            raise ValueError("a storage is longer than the file")
        places[_key(key)] = (position + 8, size)
        position += 8 + size

    def storage(saved: Any) -> Storage:
        kind, key, count = _saved(saved)
        if key not in places:
            raise InputError("the values of a tensor are not in the file; fetch or save it again")
        start, size = places[key]
        view = saved.id[5] if isinstance(saved.id, tuple) and len(saved.id) > 5 else None
        if view is None or kind is None:
            return _storage(buffer, start, size, kind, count, key)
        _, offset, count = view
        if not 0 <= offset <= size // kind.itemsize:
            raise InputError("a tensor reaches beyond its storage; fetch or save it again")
        skipped = offset * kind.itemsize
        return _storage(buffer, start + skipped, size - skipped, kind, count, (key, offset))

    return Archive(content, storage)


def _nested(saved: Any) -> Storage:
    """The storage in a plain pickle of tensors, which holds it as bytes of torch.save."""
    loads = isinstance(saved, Made) and saved.of == "torch.storage._load_from_bytes"
    data = bytes_of(saved.args[0]) if loads else None
    if data is None:
        _refuse(saved)
    inner = open_bytes(bytes(data), inner=True)
    return inner.storage(inner.content)


def _refuse(_saved: Any) -> NoReturn:
    raise InputError("a tensor without a storage; save it with torch.save")


def _saved(saved: Any) -> tuple[torch.dtype | None, str, int]:
    """(dtype, key, values or bytes) of a storage's persistent id."""
    parts = saved.id if isinstance(saved, Persistent) else None
    if not isinstance(parts, tuple) or len(parts) < 5 or parts[0] != "storage" or not isinstance(parts[1], Global):
        _refuse(saved)
    if type(parts[4]) is not int or parts[4] < 0:
        raise InputError("a storage without a size")
    untyped = parts[1].name.endswith("UntypedStorage")
    dtype = None if untyped else dtype_named(parts[1].name)
    if dtype is None and not untyped:
        raise InputError(f"a tensor of {parts[1].name[:60]}, which holds no plain values; save plain weights")
    return dtype, _key(parts[2]), parts[4]


def _key(saved: Any) -> str:
    """A storage's name; a hostile one, of lists in lists, would be endless as a text."""
    if not isinstance(saved, str | int):
        raise InputError("a storage whose name is no text")
    return str(saved)


def _storage(
    buffer: mmap.mmap | bytes, start: int, size: int, dtype: torch.dtype | None, count: int, place: Hashable
) -> Storage:
    claimed = count * (1 if dtype is None else dtype.itemsize)
    if claimed > size:
        raise InputError("a tensor claims more values than the file holds; fetch or save it again")
    return Storage(buffer, start, claimed, dtype, place)


def _storages(content: Any) -> Iterator[Persistent]:
    """Every storage's persistent id, wherever it is."""
    seen: set[int] = set()
    todo = [content]
    while todo:
        node = todo.pop()
        if id(node) in seen or not isinstance(node, dict | list | tuple | Made | Persistent):
            continue
        seen.add(id(node))
        if isinstance(node, Persistent) and isinstance(node.id, tuple) and node.id[:1] == ("storage",):
            yield node
        elif isinstance(node, Made):
            todo += [node.args, node.items, node.entries, node.state]
        elif not isinstance(node, Persistent):
            todo += node.values() if isinstance(node, dict) else node
