"""The teacher cache: embeddings of every view of every photo, computed once, shared by runs and students.

A cache is a folder named by the hash of all that its content depends on. It is filled block by block, each with its
CRC, so a build that was killed goes on where it stopped and a damaged block is found and computed again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.lib.format import open_memmap

from edgekit.errors import IntegrityError, OutputError
from edgekit.support.drafts import user_cache
from edgekit.support.files import read_json, write_atomically
from edgekit.support.text import reason_of

__all__ = ["BLOCK", "Cache", "CachedTargets", "Targets", "default_folder"]

BLOCK = 256  # rows whose CRC is kept together
_FORMAT = 1


def default_folder() -> Path:
    """$EDGEKIT_CACHE, else edgekit/teachers in the user's cache folder."""
    own = os.environ.get("EDGEKIT_CACHE")
    return Path(own) if own else user_cache() / "edgekit" / "teachers"


class Targets(Protocol):
    """A teacher's embeddings by photo."""

    dim: int

    def of(self, sources: np.ndarray, rows: np.ndarray, views: np.ndarray) -> np.ndarray:
        """float32 [B,dim], one row a photo and view."""


class Cache:
    """Embeddings [rows, views, dim] in float16 under `root`; `facts` is all that they depend on.

    Raises IntegrityError where the folder holds something else than its name says, OutputError where it cannot be
    written.
    """

    def __init__(self, root: Path, facts: Mapping[str, Any], rows: int, views: int, dim: int) -> None:
        self._facts = {"format": _FORMAT, **facts, "rows": rows, "views": views, "dim": dim}
        key = hashlib.sha256(json.dumps(self._facts, sort_keys=True).encode()).hexdigest()
        self.folder, self.rows, self.views, self.dim = root / key[:32], rows, views, dim
        self.blocks = -(-rows // BLOCK)
        meta = self.folder / "cache.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.locked():
                if not meta.exists():
                    self._create(meta)
        except OSError as error:
            raise OutputError(f"cannot write the teacher cache {self.folder}: {error.strerror or error}") from error
        if read_json(meta) != self._facts:
            raise IntegrityError(
                f"{self.folder}: a cache of another teacher or other data than its name says; remove the folder"
            )
        shape = (rows, views, dim)
        self._writable = os.access(self.folder / "embeddings.npy", os.W_OK)
        mode: Literal["r+", "r"] = "r+" if self._writable else "r"
        try:
            self.values = np.load(self.folder / "embeddings.npy", mmap_mode=mode, allow_pickle=False)
            self._marks = np.load(self.folder / "blocks.npy", mmap_mode=mode, allow_pickle=False)
        except Exception as error:  # numpy parses the header as Python source and lets its errors through
            raise IntegrityError(
                f"{self.folder}: damaged teacher cache ({reason_of(error, 200)}); remove the folder"
            ) from error
        if self.values.shape != shape or self.values.dtype != np.float16 or self._marks.shape != (self.blocks, 2):
            raise IntegrityError(f"{self.folder}: damaged teacher cache (its shape is wrong); remove the folder")

    def _create(self, meta: Path) -> None:
        shape = (self.rows, self.views, self.dim)
        for name, dtype, of in (("embeddings.npy", np.float16, shape), ("blocks.npy", np.uint32, (self.blocks, 2))):
            open_memmap(self.folder / name, "w+", dtype, of).flush()
            with (self.folder / name).open("r+b") as stream:  # a full disk shows here, not as a crash on a mapped page
                os.posix_fallocate(stream.fileno(), 0, os.fstat(stream.fileno()).st_size)
        write_atomically(meta, json.dumps(self._facts, indent=2, sort_keys=True) + "\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the cache for this process; another one that wants to fill it waits."""
        handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def missing(self) -> list[int]:
        """Blocks that are not there yet or do not have their CRC."""
        marks = self._marks
        return [block for block in range(self.blocks) if not marks[block, 0] or self._crc(block) != marks[block, 1]]

    def damaged(self, missing: Sequence[int] | None = None) -> int:
        """How many of the `missing` blocks (None: look for them) were written once and have changed since."""
        return sum(bool(self._marks[block, 0]) for block in (self.missing() if missing is None else missing))

    def _crc(self, block: int) -> int:
        return zlib.crc32(np.ascontiguousarray(self.values[block * BLOCK : (block + 1) * BLOCK]).tobytes())

    def write(self, block: int, values: np.ndarray) -> None:
        """Store the embeddings [n,views,dim] of one block, values before the mark that says they are there."""
        if not self._writable:
            raise OutputError(
                f"the teacher cache {self.folder} is not complete and not writable; give another `cache`", field="cache"
            )
        place = slice(block * BLOCK, min((block + 1) * BLOCK, self.rows))
        self._marks[block] = (0, 0)
        self.values[place] = values
        self.values.flush()
        self._marks[block] = (1, self._crc(block))
        self._marks.flush()


class CachedTargets:
    """A model teacher's embeddings, read from one cache a data set."""

    def __init__(self, caches: Sequence[Cache], dim: int) -> None:
        self._files = [str(cache.folder / "embeddings.npy") for cache in caches]
        self._views = [cache.views for cache in caches]
        self.dim = dim
        self._open: dict[int, np.ndarray] = {}

    def of(self, sources: np.ndarray, rows: np.ndarray, views: np.ndarray) -> np.ndarray:
        """float32 [B,dim], one row a photo and view."""
        out = np.empty((len(rows), self.dim), np.float32)
        for index in np.unique(sources):
            here = sources == index
            out[here] = self._values(int(index))[rows[here], views[here] % self._views[index]]
        return out

    def _values(self, index: int) -> np.ndarray:
        if index not in self._open:
            self._open[index] = np.load(self._files[index], mmap_mode="r", allow_pickle=False)
        return self._open[index]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}
