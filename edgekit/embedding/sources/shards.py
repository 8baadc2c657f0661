"""WebDataset shards: tar files of samples, read in place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.data.image_files import LeftOut
from edgekit.data.images import load_image, preprocess
from edgekit.data.shards import ShardIndex, ShardReader, find_shards
from edgekit.embedding.checks import check_ids
from edgekit.embedding.sources.base import Item, fingerprint
from edgekit.errors import InputError
from edgekit.recipe import InputSpec
from edgekit.support.text import shown

__all__ = ["ShardSource", "is_shards"]

_READER = ShardReader()  # of this process


def is_shards(text: str) -> bool:
    """Whether that names tar files, or a folder that holds some."""
    return text.lower().endswith(".tar") or (Path(text).is_dir() and bool(_in_folder(Path(text))))


def _in_folder(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".tar" and path.is_file())


@dataclass(frozen=True)
class _Member:
    shard: Path
    offset: int
    size: int

    def read(self, spec: InputSpec, name: str) -> np.ndarray:
        return preprocess(load_image(self.content(name), name=name), spec)

    def content(self, name: str) -> bytes:
        """See `Photo`."""
        return _READER.read(self.shard, self.offset, self.size, name)


class ShardSource:
    """The samples of tar files in order: an id is a sample's key, and the columns are the fields of its .json that are
    text, whole numbers or booleans; its .cls is the column `label`, unless a field has that name.

    Nothing is unpacked, and no link followed. Raises InputError for shards that are missing, compressed, damaged or cut
    short, and for a member whose name would lead out of a folder.
    """

    def __init__(self, text: str) -> None:
        path = Path(text)
        found = _in_folder(path) if path.is_dir() else find_shards(text)
        self._shards = [shard.absolute() for shard in found]
        columns: dict[str, list[str | None]] = {}
        index, ends = ShardIndex(columns, every=True), [0]
        for shard in self._shards:
            index.add(shard)
            ends.append(len(index.keys))
        self._ids = [key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for key in index.keys]
        self._offsets, self._sizes = index.offsets, index.sizes
        self._of = np.repeat(np.arange(len(self._shards), dtype=np.int32), np.diff(ends))
        try:
            check_ids(self._ids, 0)
            for key in self._ids:
                if key.startswith("/") or ".." in key.split("/"):
                    raise InputError(f"a sample is called {shown(key)!r}, which leads out of a folder; rename it")
        except InputError as error:
            raise InputError(f"{shown(text)}: {error}") from None
        if "cls" in columns and "label" not in columns:
            columns["label"] = columns.pop("cls")
        self._texts = {name: texts for name, texts in columns.items() if name not in ("id", "embedding")}
        self.columns = tuple(sorted(self._texts))
        self.name = shown(path.resolve().name if path.is_dir() else path.name)
        self.left_out = LeftOut(tuple(index.unread), len(self._ids))
        self.left_out.refuse_most(self.name)
        self.skipped = [(shown(name), "a link or a device, which is not followed") for name in index.links]

    def __len__(self) -> int:
        return len(self._ids)

    def part(self, start: int, stop: int) -> list[Item]:
        """See `Source`."""
        return [self._item(number) for number in range(start, min(stop, len(self)))]

    def _item(self, number: int) -> Item:
        member = _Member(self._shards[self._of[number]], self._offsets[number], self._sizes[number])
        return Item(self._ids[number], member, tuple(self._texts[name][number] or "" for name in self.columns))

    def fingerprint(self) -> str:
        """See `Source`."""
        return fingerprint([path.name for path in self._shards], self._shards)
