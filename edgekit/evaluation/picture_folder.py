"""Thumbnails of a folder's images, by the ids that `edgekit embed` gave them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from edgekit.data.image_files import scan
from edgekit.data.images import load_image
from edgekit.errors import InputError, UsageError
from edgekit.report.pictures import SIDE, thumbnail
from edgekit.report.write import check_name
from edgekit.support.progress import Tick
from edgekit.support.text import shown

__all__ = ["MOST_SHOWN", "PictureFolder", "check_page", "pictured"]

MOST_SHOWN = 100  # rows of a page that are shown as pictures
_Row = TypeVar("_Row")
_Shown = TypeVar("_Shown")


def check_page(page: Path | str | None, pictures: Path | str | None, worst: int) -> PictureFolder | None:
    """The folder of `pictures`, where there is one: what can be said of a page before the work that fills it.

    Raises:
        InputError: the folder is not there, or holds no image.
        UsageError: `page` ends otherwise than pages do; or `pictures` without a page, or without `worst` queries.
    """
    check_name(page)
    if pictures is None:
        return None
    if page is None:
        raise UsageError("`pictures` needs `page`, the file that shows them", field="pictures")
    if not worst:
        raise UsageError("`pictures` shows the worst rows; give `worst`, how many of them", field="pictures")
    return PictureFolder(Path(pictures))


def pictured(
    rows: Sequence[_Row], folder: PictureFolder | None, show: Callable[[_Row, PictureFolder], _Shown], tick: Tick
) -> tuple[list[_Shown], list[str]]:
    """What `show` makes of the first MOST_SHOWN rows, and notes on what could not be shown; nothing without a folder.

    Raises:
        InputError: the folder holds no picture of the rows.
    """
    if folder is None:
        return [], []
    found = []
    for count, row in enumerate(rows[:MOST_SHOWN], start=1):
        found.append(show(row, folder))
        tick(count, min(len(rows), MOST_SHOWN))
    return found, folder.notes()


class PictureFolder:
    """The images below a folder. An id is an image's path in it, with or without its suffix; ids that lead outside of
    the folder are of no image, as the folder is listed and nothing else is opened.

    Raises:
        InputError: there is no such folder, or it holds no image.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._made = path, dict[str, str | None]()
        self._names: dict[str, str] = {}
        for name in scan(path).names:
            id = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")  # as embedding does
            self._names[id] = name
            self._names.setdefault(id.rsplit(".", 1)[0], name)
        if not self._names:
            raise InputError(f"{shown(str(path))}: holds no image")
        self._missing: list[str] = []
        self._unread: list[str] = []

    def thumbnail(self, id: str) -> str | None:
        """The picture of an id as a data URI; None where there is none, which `notes` counts."""
        if id not in self._made:
            self._made[id] = self._load(id)
        return self._made[id]

    def notes(self) -> list[str]:
        """What could not be shown, and why.

        Raises:
            InputError: nothing that was asked for is there, so that this is another folder.
        """
        where = shown(str(self._path))
        if self._missing and len(self._missing) == len(self._made):
            raise InputError(
                f"{where}: holds no image of {len(self._missing)} ids, such as {shown(self._missing[0], 80)}; an id is "
                "an image's path below the folder that was embedded",
                field="pictures",
            )
        notes = []
        if self._missing:
            first = shown(self._missing[0], 80)
            notes.append(f"{len(self._missing)} of {len(self._made)} pictures are not in the folder, such as {first}")
        if self._unread:
            notes.append(f"{len(self._unread)} of {len(self._made)} pictures cannot be read: {self._unread[0]}")
        return notes

    def _load(self, id: str) -> str | None:
        name = self._names.get(id)
        if name is None:
            self._missing.append(id)
            return None
        try:
            return thumbnail(load_image(self._path / name, max_side=2 * SIDE, name=name))
        except InputError as error:
            self._unread.append(str(error))
            return None
