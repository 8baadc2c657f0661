"""A CSV or Parquet table of image paths, listings and labels as a data set."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from edgekit.data.image_files import LeftOut
from edgekit.data.images import load_image
from edgekit.data.tables import inside, read_table
from edgekit.distillation.sources.base import Column, codes_of, fit
from edgekit.errors import InputError
from edgekit.support.files import sha256_file
from edgekit.support.text import shown

__all__ = ["TableSource"]


class TableSource:
    """One photo a row: an image path relative to `root`, the listing where a column names it, and labels.

    An empty or null cell is a missing label or an unknown listing. Raises InputError, one line that begins with
    `data NAME: `, for a table that is missing, damaged, empty or ragged, a column that is missing or mixes types, and
    a path that leaves `root` or is no image's; rows count from 1, after the header. Whether the images can be read
    shows in `read`. Raises MissingDependencyError for Parquet without pyarrow.
    """

    chunks = None
    left_out = LeftOut()  # a row of such a kind is refused

    def __init__(
        self, name: str, table: Path, root: Path, *, path: str, listing: str | None, labels: dict[str, str]
    ) -> None:
        self.name, self._path, self._listing, self._fields = name, path, listing, dict(labels)
        table, wanted = Path(table), [*labels.values()] if listing is None else [listing, *labels.values()]
        try:
            paths, columns = read_table(table, path, list(dict.fromkeys(wanted)), set(labels.values()))
            if not os.path.isdir(root):
                raise InputError(f"the folder of its images, {shown(str(root))}, does not exist; set root")
            self._root = Path(root).resolve()
            self._names = [inside(text, row, path) for row, text in enumerate(paths, start=1)]
        except InputError as error:
            raise InputError(f"data {name}: {shown(str(table))}: {error}") from None
        unknown = np.full(len(paths), -1, np.int64)
        self.listings = unknown if listing is None else codes_of(columns[listing]).codes.astype(np.int64)
        self.labels: dict[str, Column] = {task: codes_of(columns[column]) for task, column in labels.items()}

    def __len__(self) -> int:
        return len(self._names)

    def photo_name(self, index: int) -> str:
        """What people call photo `index`."""
        return shown(self._names[index])

    def _file(self, name: str) -> Path:
        try:
            file = (self._root / name).resolve()
        except (OSError, RuntimeError) as error:  # RuntimeError: links that point at each other
            raise InputError(f"{shown(name)}: cannot be opened ({shown(str(error))})") from None
        if not file.is_relative_to(self._root):
            raise InputError(f"{shown(name)}: a link that leaves {shown(str(self._root))}; copy the image there")
        return file

    def read(self, index: int, size: tuple[int, int]) -> np.ndarray:
        """Photo `index` as uint8 [H,W,3]; see `Source.read`."""
        name = self._names[index]
        image = load_image(self._file(name), name=name, max_side=max(size))
        return fit(image, size)

    def digest(self) -> str:
        """sha256 over all that can change what is read."""
        names = {task: list(column.names) for task, column in self.labels.items()}
        facts = [self._path, self._listing, sorted(self._fields.items()), sorted(names.items())]
        whole = hashlib.sha256(json.dumps(facts).encode())
        whole.update(self.listings.astype("<i8").tobytes())
        for _, column in sorted(self.labels.items()):
            whole.update(column.codes.astype("<i4").tobytes())
        for name in self._names:
            whole.update(hashlib.sha256(name.encode()).digest())
            try:
                whole.update(b"\1" + bytes.fromhex(sha256_file(self._file(name))))
            except InputError:
                whole.update(b"\0")
        return whole.hexdigest()
