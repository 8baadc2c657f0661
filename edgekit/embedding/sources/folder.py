"""The images below a folder: the first-level subfolder is the label."""

from __future__ import annotations

from pathlib import Path

from edgekit.data.images import Folder
from edgekit.embedding.sources.base import FilePhoto, Item, fingerprint
from edgekit.recipe import InputSpec

__all__ = ["FolderSource"]


class FolderSource:
    """The images below a folder, sorted; an id is the path below it, the label its first part, where it has several.

    A folder without subfolders has no labels. Raises InputError for a missing or empty folder, and for one of which
    over half is of kinds that are not read here.
    """

    def __init__(self, path: str) -> None:
        folder = Folder(Path(path), InputSpec())
        self.name, self.left_out, self.skipped = folder.name, folder.left_out, folder.outside
        self._names, self._root = folder.names, folder.path.resolve()
        self.columns = ("label",) if any("/" in name for name in self._names) else ()

    def __len__(self) -> int:
        return len(self._names)

    def part(self, start: int, stop: int) -> list[Item]:
        """See `Source`."""
        return [self._item(name) for name in self._names[start:stop]]

    def _item(self, name: str) -> Item:
        id = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        label = id.split("/")[0] if "/" in id else ""
        return Item(id, FilePhoto(self._root, name), (label,) if self.columns else ())

    def fingerprint(self) -> str:
        """See `Source`."""
        names = [name.encode("utf-8", "surrogateescape").hex() for name in self._names]
        return fingerprint(names, (self._root / name for name in self._names))
