"""WebDataset shards as a data set: plain tar files, indexed once by their headers and read in place."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from edgekit.data.image_files import LeftOut
from edgekit.data.images import load_image
from edgekit.data.shards import ShardIndex, ShardReader, find_shards
from edgekit.data.tables import absent
from edgekit.distillation.sources.base import Column, codes_of, fit
from edgekit.errors import InputError
from edgekit.support.files import sha256_file
from edgekit.support.text import shown

__all__ = ["ShardSource"]


class ShardSource:
    """The samples of tar files in order; a sample is the members with one name up to its base name's first dot.

    Its image is the member with an image's suffix and the fewest dots; a sample without one is left out, and is
    named in `left_out` where it has an image of a kind that is not read here. `listing` and
    `labels` name fields of its .json, or "cls" for its .cls; a missing, null or empty field is an unknown listing or a
    missing label. Nothing is unpacked and no image read before `read`; links and devices are ignored.

    Raises InputError, one line that begins with `data NAME: `, where `pattern` matches nothing, and for a shard that is
    compressed, empty, damaged or cut short, a damaged .json, and a field that no sample has or that is no label.
    """

    def __init__(self, name: str, pattern: str, *, listing: str | None, labels: dict[str, str]) -> None:
        self.name, self._listing, self._fields = name, listing, dict(labels)
        wanted = dict.fromkeys([*labels.values()] if listing is None else [listing, *labels.values()])
        columns: dict[str, list[str | None]] = {field: [] for field in wanted}
        index, ends = ShardIndex(columns), [0]
        try:
            self._shards = find_shards(pattern)
            for path in self._shards:
                index.add(path)
                ends.append(len(index.keys))
            self.left_out = LeftOut(tuple(index.unread), len(index.keys))
            self.left_out.refuse_most("its shards")
            for field in columns:
                if field not in index.seen:
                    raise absent("field", field, sorted(index.seen))
        except InputError as error:
            raise InputError(f"data {name}: {error}") from None
        self._keys, self._offsets, self._sizes = index.keys, np.array(index.offsets), np.array(index.sizes)
        self.chunks = np.array(ends, np.int64)
        self._shard = np.repeat(np.arange(len(self._shards), dtype=np.int32), np.diff(self.chunks))
        unknown = np.full(len(self._keys), -1, np.int64)
        self.listings = unknown if listing is None else codes_of(columns[listing]).codes.astype(np.int64)
        self.labels: dict[str, Column] = {task: codes_of(columns[field]) for task, field in labels.items()}
        self._reader = ShardReader()

    def __len__(self) -> int:
        return len(self._keys)

    def photo_name(self, index: int) -> str:
        """What people call photo `index`."""
        return shown(f"{self._shards[self._shard[index]].name}/{self._keys[index]}")

    def read(self, index: int, size: tuple[int, int]) -> np.ndarray:
        """Photo `index` as uint8 [H,W,3]; see `Source.read`."""
        name, shard = self.photo_name(index), self._shards[self._shard[index]]
        data = self._reader.read(shard, int(self._offsets[index]), int(self._sizes[index]), name)
        image = load_image(data, name=name, max_side=max(size))
        return fit(image, size)

    def digest(self) -> str:
        """sha256 over all that can change what is read."""
        facts = [self._listing, sorted(self._fields.items()), [path.name for path in self._shards]]
        whole = hashlib.sha256(json.dumps(facts).encode())
        for path in self._shards:
            whole.update(bytes.fromhex(sha256_file(path)))
        return whole.hexdigest()
