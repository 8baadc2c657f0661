"""The images of a parity run on this machine's disk, in parts that a device takes one after the other."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.bench.constants import CONSTANTS
from edgekit.bench.golden import Golden
from edgekit.bench.preprocessing import FILENAME, PHOTOS, GoldenFolder, Item, Preprocessing, read
from edgekit.bench.schema import Model
from edgekit.data.datasets import Pictures
from edgekit.data.images import Folder, Picture
from edgekit.errors import InputError, OutputError, UsageError
from edgekit.parity.check import Embed, Reference, embed_original
from edgekit.support.files import sha256_file
from edgekit.support.text import shown

__all__ = ["MOST_BYTES", "Kept", "Part", "Photos", "Pixels", "lay_out"]

MOST_BYTES: int = CONSTANTS["max_part_bytes"]
_MOST_IMAGES: int = CONSTANTS["max_golden_items"]
_MOST_PHOTO: int = CONSTANTS["max_photo_bytes"]
_EMBEDDINGS = "embeddings.bin"  # beside the result
_SUFFIXES = {".jpg": "jpg", ".jpeg": "jpg", ".png": "png"}
_EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True, eq=False)
class Part:
    """Images `start` to `stop` of a run: what a device gets in one go, as a file of pixels or a folder of photos.

    `size` is the height and width that the model takes; `embeddings` float32 [N,D] are the original's.
    """

    start: int
    stop: int
    images: Path
    size: tuple[int, int]
    embeddings: np.ndarray

    @property
    def sizes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(N, height, width, 3) of the images and (N, dim) of the embeddings."""
        return (self.stop - self.start, *self.size, 3), self.embeddings.shape

    def write(self, images: Path, embeddings: Path) -> None:
        """Put both there; the images as links, which take no room, where the disk knows them."""
        if self.images.is_dir():
            shutil.copytree(self.images, images, copy_function=_linked)
        else:
            _linked(self.images, images)
        embeddings.write_bytes(np.ascontiguousarray(self.embeddings, "<f4").tobytes())

    def opened(self) -> Golden:
        """The images as an array that is read where it is touched; UsageError where they are photos."""
        if self.images.is_dir():
            raise UsageError("`raw` needs a device that decodes photos; leave it out", field="raw")
        return Golden(np.memmap(self.images, np.uint8, "r", shape=self.sizes[0]), self.embeddings)

    def halves(self) -> list[Part]:
        """Two parts of about as many images each, beside this one; itself where it is of one image."""
        if self.stop - self.start == 1:
            return [self]
        middle = (self.start + self.stop) // 2
        return [self._cut(self.start, middle), self._cut(middle, self.stop)]

    def _cut(self, start: int, stop: int) -> Part:
        path = self.images.with_name(f"{start}-{stop}{self.images.suffix}")
        inside = slice(start - self.start, stop - self.start)
        if not path.exists() and self.images.is_dir():
            golden = read(self.images)
            items = golden.items[inside]
            (path / PHOTOS).mkdir(parents=True)
            for item in items:
                _linked(self.images / item.file, path / item.file)
            golden.model_copy(update={"items": items}).write(path / FILENAME)
        elif not path.exists():
            self.opened().images[inside].tofile(path)
        return Part(start, stop, path, self.size, self.embeddings[inside])

    def fields(self) -> dict[str, Any]:
        """What the job of this part says otherwise than a measurement's."""
        count = self.stop - self.start
        changes: dict[str, Any] = {"count": count, "iterations": count, "warmup": 0, "duration": 0.0}
        changes |= {"dim": self.embeddings.shape[1], "embeddings": _EMBEDDINGS}
        return changes | ({"inputs": None, "photos": PHOTOS} if self.images.is_dir() else {})


class Kept(ABC):
    """Pictures that are put on disk in parts of at most `most_bytes` as they are read, one at a time in memory."""

    def __init__(self, data: Pictures, folder: Path, most_bytes: int) -> None:
        self.data, self.folder, self.most_bytes = data, folder, most_bytes
        self.ends: list[int] = []  # the image that each part ends before, once all are read

    @property
    def left_out(self) -> Any:
        """Images of kinds that are not read here."""
        return self.data.left_out

    @property
    def skipped(self) -> Any:
        """(name, reason) of images that could not be read, once all were."""
        return getattr(self.data, "skipped", ())

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Picture]:
        self.ends, room, begun = [], 0, 0
        for count, picture in enumerate(self.data):
            size = self.bytes_of(picture)
            if not self.ends or size > room or count - begun == _MOST_IMAGES:
                self.ends.append(count)
                room, begun = self.most_bytes, count
            self.store(len(self.ends) - 1, picture)
            room -= size
            self.ends[-1] = count + 1
            yield picture

    @abstractmethod
    def bytes_of(self, picture: Picture) -> int:
        """Bytes that the image takes of a part."""

    @abstractmethod
    def path(self, number: int) -> Path:
        """The file or folder of a part."""

    @abstractmethod
    def store(self, number: int, picture: Picture) -> None:
        """Put the image into a part."""

    @abstractmethod
    def finish(self, dim: int) -> None:
        """Do what is left, once all are read and embedded in `dim` values."""


class Pixels(Kept):
    """As the model takes them: uint8 RGB [N,H,W,3], a file a part."""

    def bytes_of(self, picture: Picture) -> int:
        return picture.image.nbytes

    def path(self, number: int) -> Path:
        return self.folder / f"{number}.bin"

    def store(self, number: int, picture: Picture) -> None:
        with self.path(number).open("ab") as file:
            picture.image.tofile(file)

    def finish(self, dim: int) -> None:
        """Nothing: a file of pixels says nothing of itself."""


class Photos(Kept):
    """As the files that they are, JPEG and PNG: a folder a part, as `edgekit golden` writes, without its vectors."""

    def __init__(self, data: Folder, folder: Path, most_bytes: int, model: Model, steps: Preprocessing) -> None:
        super().__init__(data, folder, most_bytes)
        self._root, self._model, self._steps = data.path, model, steps
        self._names = {shown(name): name for name in data.names}
        self._items: list[list[Item]] = []
        others = [name for name in data.names if Path(name).suffix.lower() not in _SUFFIXES]
        if others:
            raise InputError(
                f"{data.name}: {len(others)} of {len(data)} images are no JPEG or PNG ({shown(others[0])}), which is "
                "what is sent with `raw`; convert them, or take them out",
                field="raw",
            )

    def bytes_of(self, picture: Picture) -> int:
        size = self._source(picture).stat().st_size
        if size > _MOST_PHOTO:
            most = f"{_MOST_PHOTO >> 20} MiB"
            raise InputError(f"{picture.name}: has more than the {most} that a device takes; scale it down")
        return size

    def path(self, number: int) -> Path:
        return self.folder / f"{number}"

    def store(self, number: int, picture: Picture) -> None:
        from PIL import Image

        photos = self.path(number) / PHOTOS
        if number == len(self._items):
            photos.mkdir(parents=True)
            self._items.append([])
        source, items = self._source(picture), self._items[number]
        name = f"{len(items):04d}.{_SUFFIXES[source.suffix.lower()]}"
        shutil.copyfile(source, photos / name)
        with Image.open(source) as image:
            turned = image.getexif().get(_EXIF_ORIENTATION, 1)
        orientation = turned if turned in range(1, 9) else 1
        items.append(Item(file=f"{PHOTOS}/{name}", orientation=orientation, sha256=sha256_file(photos / name)))

    def finish(self, dim: int) -> None:
        for number, items in enumerate(self._items):
            whole = GoldenFolder(model=self._model, preprocessing=self._steps, dim=dim, items=tuple(items))
            whole.write(self.path(number) / FILENAME)

    def _source(self, picture: Picture) -> Path:
        return self._root / self._names[picture.name]


def lay_out(
    kept: Kept, original: Embed, size: tuple[int, int], tick: Callable[[int, int], None]
) -> tuple[Reference, list[Part]]:
    """Read all images once, embed them with the original, and put them on disk in parts.

    Raises:
        EdgeKitError: as `embed_original`.
        OutputError: the disk is full.
    """
    try:
        reference = embed_original(original, kept, progress=tick)
        kept.finish(reference.embeddings.shape[1])
    except OSError as error:
        why = error.strerror or "unknown"
        raise OutputError(f"images cannot be kept meanwhile ({why}); point TMPDIR at a disk with room") from error
    starts = [0, *kept.ends[:-1]]
    return reference, [
        Part(start, stop, kept.path(number), size, reference.embeddings[start:stop])
        for number, (start, stop) in enumerate(zip(starts, kept.ends, strict=True))
    ]


def _linked(source: str | Path, to: str | Path) -> None:
    """A hard link, or a copy where there can be none."""
    try:
        os.link(source, to)
    except OSError:
        shutil.copyfile(source, to)
