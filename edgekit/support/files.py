"""Files and directory packages: their hashes and listing, JSON from anyone, writing in one step."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from edgekit.errors import InputError, OutputError, UsageError
from edgekit.support.drafts import draft, is_full, publishable, sync
from edgekit.support.text import reason_of

__all__ = [
    "list_files",
    "parse_json",
    "read_json",
    "sha256_file",
    "sha256_tree",
    "size_of",
    "source_date_epoch",
    "write_atomically",
]

_BLOCK = 1 << 20


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a package."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def sha256_file(path: Path) -> str:
    """SHA-256 of a regular file's bytes, in hex, read in blocks of 1 MiB; InputError where it cannot be read."""
    digest = hashlib.sha256()
    with _open_regular(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def read_json(path: Path, *, max_bytes: int = 4 << 20, max_depth: int = 32) -> Any:
    """Read JSON that anyone may have written; InputError says what is wrong with it.

    Strict: UTF-8, no NaN or infinity, no name twice in an object, at most `max_bytes` bytes and `max_depth` levels.
    """
    with _open_regular(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise InputError(f"{path}: over {max_bytes / (1 << 20):g} MiB, more than is read from such a file")
    return parse_json(data, path, max_depth=max_depth)


def parse_json(data: bytes, where: object, *, max_depth: int = 32) -> Any:
    """JSON that anyone may have written, as strictly as `read_json`; InputError says what is wrong, and `where`."""
    try:
        content = json.loads(
            data.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_refuse_constant, parse_float=_finite
        )
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not strict JSON ({reason_of(error, 200)})") from error
    level, depth = [content], 0
    while level:
        depth += 1
        if depth > max_depth:
            raise InputError(f"{where}: nested over {max_depth} levels deep")
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [value for values in inner for value in values]
    return content


def list_files(folder: Path) -> list[str]:
    """Every file below `folder` as a relative posix path, sorted by code point.

    InputError on a symbolic link, a device or a pipe: a package holds regular files and folders only.
    """
    names: list[str] = []
    folders = [folder]
    while folders:
        here = folders.pop()
        try:
            entries = list(os.scandir(here))
        except OSError as error:
            raise InputError(f"{here}: cannot be listed ({error.strerror})") from error
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                names.append(Path(entry.path).relative_to(folder).as_posix())
            else:
                raise InputError(f"{entry.path}: a symbolic link or special file; replace it by a regular file")
    return sorted(names)


def sha256_tree(path: Path) -> str:
    """SHA-256 of a file, or of a directory package's relative names and contents (times and modes do not count)."""
    if not path.is_dir():
        return sha256_file(path)
    digest = hashlib.sha256()
    for name in list_files(path):
        # NUL cannot occur in a name and the file's hash has a fixed length, so no two trees collide by concatenation.
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + bytes.fromhex(sha256_file(path / name)))
    return digest.hexdigest()


def source_date_epoch() -> int | None:
    """Seconds since 1970 from the environment's SOURCE_DATE_EPOCH, or None; UsageError where it is no such number."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    # 253402300799 is the end of the year 9999, the last that a date can be written for.
    if not (text.isascii() and text.isdigit()) or len(text) > 12 or int(text) > 253402300799:
        raise UsageError(f"SOURCE_DATE_EPOCH is {text[:40]!r}; give whole seconds since 1970, or unset it")
    return int(text)


def write_atomically(
    path: Path, content: str | bytes | Callable[[Path], object], advice: str = "free some space"
) -> None:
    """Write a file beside `path`, text as UTF-8 or what `content(part)` puts there, and move it there in one step.

    Raises:
        OutputError: it cannot be written; says `advice`, and `path` is as it was.
    """
    try:
        with draft(path.parent, path.name) as folder:
            part = folder / path.name
            if callable(content):
                content(part)
            else:
                part.write_bytes(content.encode() if isinstance(content, str) else content)
            publishable(part, folder)
            sync(part)
            os.replace(part, path)
            sync(path.parent)
    except Exception as error:
        if not isinstance(error, OSError) and not is_full(error):
            raise
        reason = getattr(error, "strerror", None) or reason_of(error, 200)
        raise OutputError(f"cannot write {path}: {reason}; what was saved before is whole, {advice}") from error


@contextmanager
def _open_regular(path: Path) -> Iterator[BinaryIO]:
    try:
        # O_NONBLOCK: a named pipe must not hang the reader before it is refused.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError(f"{path}: not a regular file; give a file")
            yield file
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("an object has the same name twice")
    return table


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:20]} is too large a number")
    return value
