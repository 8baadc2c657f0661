"""An ImageFolder as a data set: a subfolder is a class, or a listing."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np

from edgekit.data.images import Folder, load_image
from edgekit.distillation.sources.base import Column, codes_of, fit
from edgekit.errors import InputError, UsageError
from edgekit.recipe import InputSpec
from edgekit.support.text import shown

__all__ = ["FolderSource"]


class FolderSource:
    """The images below a folder in sorted order; the first-level subfolder gives the label or the listing.

    `labels` may name one task, whose classes the subfolders are. Raises InputError for a missing or empty folder and
    for one of which over half is of kinds that are not read here, UsageError where the folders cannot give what is
    asked of them.
    """

    chunks = None

    def __init__(self, name: str, path: Path, kind: Literal["class", "listing"], labels: dict[str, str]) -> None:
        if kind == "listing" and labels:
            raise UsageError(f"data {name}: its folders are listings, so they cannot also be labels; use a table")
        if len(labels) > 1:
            raise UsageError(f"data {name}: folders give one label, not {len(labels)}; use a table")
        self.name = name
        try:
            self._folder = Folder(path, InputSpec())
        except InputError as error:
            raise InputError(f"data {name}: {error}") from None
        self._names, self.left_out = self._folder.names, self._folder.left_out
        groups = codes_of([text.split("/")[0] if "/" in text else None for text in self._names])
        whole = kind == "listing"
        self.listings = groups.codes.astype(np.int64) if whole else np.full(len(self._names), -1, np.int64)
        task = next(iter(labels), "category")
        self.labels: dict[str, Column] = {} if whole or not len(groups.names) else {task: groups}

    def __len__(self) -> int:
        return len(self._names)

    def photo_name(self, index: int) -> str:
        """What people call photo `index`."""
        return shown(self._names[index])

    def read(self, index: int, size: tuple[int, int]) -> np.ndarray:
        """Photo `index` as uint8 [H,W,3]; see `Source.read`."""
        name = self._names[index]
        image = load_image(self._folder.path / name, name=name, max_side=max(size))
        return fit(image, size)

    def digest(self) -> str:
        """sha256 over all that can change what is read."""
        facts = f"{self._folder.digest()} {sorted(self.labels)}"
        return hashlib.sha256(facts.encode()).hexdigest()
