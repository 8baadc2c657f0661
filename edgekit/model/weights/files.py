"""Which kind of file it is, by its content, and the tensors in it."""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch

from edgekit.errors import InputError
from edgekit.model.weights.archives import open_bytes, open_zip
from edgekit.model.weights.stored import Named, Stored, dtype_called, quote
from edgekit.model.weights.tree import tensors
from edgekit.support.files import read_json
from edgekit.support.text import reason_of, shown

__all__ = ["files_of", "is_index", "read_tensors"]

_MAX_SHARDS = 1000
_KINDS = (  # first bytes, what they mean, what to do
    (b"version https://git-lfs", "a Git LFS pointer, not the weights", "run `git lfs pull`"),
    (b"\x89HDF", "an HDF5 file of Keras", "convert it to a PyTorch state dict first"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"BZh", "compressed with bzip2", "unpack it first"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it first"),
    (b"GGUF", "a GGUF file", "give the PyTorch checkpoint that it was made from"),
    (b"\x93NUMPY", "a numpy array", "save a state dict"),
    (b"<", "a web page or XML, not weights", "download the file itself"),
)


def is_index(path: Path) -> bool:
    """Whether it is the index of a sharded checkpoint: JSON, and not the header of a safetensors file."""
    with path.open("rb") as stream:
        start = stream.read(16)
    return start.lstrip().startswith(b"{") and not _is_safetensors(start, path)


def files_of(path: Path) -> list[Path]:
    """The file of a checkpoint and, where it is an index, its shards.

    Raises:
        InputError: it is an index that is damaged, or whose shards are not beside it.
        OSError: it cannot be read.
    """
    if not is_index(path):
        return [path]
    try:
        return [path, *(path.parent / file for file in _named_shards(path)[1])]
    except InputError as error:
        line, name = str(error), shown(str(path))
        raise InputError(line if line.startswith(name) else f"{name}: {line}", field="model") from None


def _is_safetensors(start: bytes, path: Path) -> bool:
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


def read_tensors(path: Path) -> tuple[list[Named], Mapping[str, str]]:
    """The tensors of a file or of the shards of an index, unread; and notes of names that share another's values.

    Raises InputError, one line that begins with the file's name: missing, unreadable, damaged, or no weights.
    """
    name = shown(str(path))
    if path.is_dir():
        raise InputError(f"{name}: is not a regular file{_inside(path)}")
    if not path.is_file():
        raise InputError(f"{name}: {'is not a regular file' if path.exists() else 'no such weights file'}")
    try:
        entries, notes = _shards(path) if is_index(path) else _one(path)
        names = [entry.name for entry in entries]
        if len(set(names)) < len(names):
            twice = Counter(names).most_common(1)[0][0]
            raise InputError(f"holds two tensors called {quote(twice)}; save the state dict alone")
    except InputError as error:
        line = str(error)
        raise InputError(line if line.startswith(name) else f"{name}: {line}") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # readers raise many types on damaged bytes
        reason = reason_of(error, 160)
        raise InputError(f"{name}: damaged, or not a weights file ({reason}); fetch or save it again") from None
    return entries, notes


def _inside(folder: Path) -> str:
    names = ("model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin")
    name = next((name for name in names if (folder / name).is_file()), None)
    return f"; give {name} in it" if name else "; give the weights file"


def _one(path: Path) -> tuple[list[Named], Mapping[str, str]]:
    with path.open("rb") as stream:
        start = stream.read(512)
        if not start:
            raise InputError("the file has 0 bytes")
        for first, what, advice in _KINDS:
            if start.lstrip().startswith(first):
                raise InputError(f"{what}; {advice}")
        if start[257:262] == b"ustar":
            raise InputError(
                "a tar archive: unpack it, or if torch before 0.1.10 wrote it, save it again with a newer one"
            )
        if _is_safetensors(start, path):
            return _safetensors(path)
        buffer = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    if start.startswith(b"PK"):
        return tensors(open_zip(path, buffer)), {}
    if start[:1] not in (b"\x80", b"(", b"}", b"c", b"L", b"d"):
        raise InputError("damaged, or neither safetensors nor written by torch.save; fetch or save it again")
    return tensors(open_bytes(buffer)), {}


def _safetensors(path: Path) -> tuple[list[Named], Mapping[str, str]]:
    from safetensors import safe_open

    file = safe_open(path, framework="pt", device="cpu")
    entries: list[Named] = []
    for key in file.keys():  # noqa: SIM118 (no mapping)
        part = file.get_slice(key)
        shape, dtype = tuple(part.get_shape()), _dtype(part.get_dtype())
        entries.append(Named(key, "", Stored(shape, dtype, partial(file.get_tensor, key), key)))
    return entries, {key: value for key, value in (file.metadata() or {}).items() if isinstance(value, str)}


def _dtype(code: str) -> torch.dtype | None:
    """Of safetensors' F32, BF16, I64 and the like; None where torch has no such one or it matters to nobody."""
    words = {"F": "float", "BF": "bfloat", "I": "int", "U": "uint", "C": "complex"}
    letters, digits = code.rstrip("0123456789"), code.lstrip("BFIUCOL")
    return torch.bool if code == "BOOL" else dtype_called(f"{words.get(letters)}{digits}")


def _named_shards(path: Path) -> tuple[dict[str, str], list[str]]:
    """Of an index: the file of each tensor, and these files, which lie beside it."""
    index = read_json(path, max_bytes=64 << 20)
    table = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(table, dict) or not table or not all(isinstance(file, str) for file in table.values()):
        raise InputError("has no weight_map: not the index of a sharded checkpoint")
    files = list(dict.fromkeys(table.values()))
    if len(files) > _MAX_SHARDS:
        raise InputError(f"names {len(files):,} shards, more than {_MAX_SHARDS:,}")
    for file in files:
        if Path(file).name != file or file in ("", ".", ".."):
            raise InputError(f"names the shard {quote(file)}, which is not a file beside it")
        if not (path.parent / file).is_file():
            raise InputError(f"the shard {quote(file)} is not beside it; fetch all shards")
    return table, files


def _shards(path: Path) -> tuple[list[Named], Mapping[str, str]]:
    table, files = _named_shards(path)
    entries: list[Named] = []
    notes: dict[str, str] = {}
    for file in files:
        try:
            inside, more = _one(path.parent / file)
        except InputError as error:
            raise InputError(f"shard {quote(file)}: {error}") from None
        wanted = {key for key, place in table.items() if place == file}
        kept = [entry for entry in inside if entry.name in wanted]
        if len(kept) < len(wanted):
            lost = sorted(wanted - {entry.name for entry in kept})[0]
            raise InputError(f"shard {quote(file)} does not hold {quote(lost)}, which the index names; fetch it again")
        entries += kept
        notes |= more
    return entries, notes
