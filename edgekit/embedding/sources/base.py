"""What every kind of data can do to be embedded, however its photos are stored."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from edgekit.data.image_files import LeftOut
from edgekit.data.images import MAX_FILE_BYTES, load_image, preprocess
from edgekit.errors import InputError
from edgekit.recipe import InputSpec

__all__ = ["FilePhoto", "InlinePhoto", "Item", "Photo", "Source", "fingerprint"]


class Photo(Protocol):
    """One photo that is not read yet; it can be sent to another process."""

    def read(self, spec: InputSpec, name: str) -> np.ndarray:
        """uint8 [H,W,3] as the model takes it; InputError, a line that starts with `name`, where it cannot be read."""
        ...

    def content(self, name: str) -> bytes:
        """The image file's bytes, a PNG where there is no file; InputError as with `read`."""
        ...


@dataclass(frozen=True)
class Item:
    """A row to be: its id, where its photo is, and its text in each of the source's columns."""

    id: str
    photo: Photo
    texts: Sequence[str] = ()


class Source(Protocol):
    """Photos in an order that never changes.

    `skipped` are those, by name and reason, that are known from the start not to be read.
    """

    @property
    def name(self) -> str:
        """What people call it, without the path to it."""
        ...

    @property
    def columns(self) -> Sequence[str]: ...
    @property
    def left_out(self) -> LeftOut:
        """Images of kinds that are not read here."""
        ...

    @property
    def skipped(self) -> Sequence[tuple[str, str]]: ...
    def __len__(self) -> int: ...

    def part(self, start: int, stop: int) -> list[Item]:
        """Items from `start` up to `stop`, which may be past the end; calls go forward."""
        ...

    def fingerprint(self) -> str:
        """sha256 (hex) over names, sizes and times of change of all that is read: what tells a resumed run that its
        data are the same.
        """
        ...


@dataclass(frozen=True)
class FilePhoto:
    """An image file, which must lie in `root` once links were followed."""

    root: Path
    below: str

    def read(self, spec: InputSpec, name: str) -> np.ndarray:
        """See `Photo`."""
        return preprocess(load_image(self._file(name), name=name), spec)

    def content(self, name: str) -> bytes:
        """See `Photo`."""
        file = self._file(name)
        try:
            if not file.is_file():  # a pipe would never end
                raise InputError(f"{name}: is not a file")
            with open(file, "rb") as stream:
                data = stream.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise InputError(f"{name}: cannot be opened ({error.strerror})") from None
        if len(data) > MAX_FILE_BYTES:
            raise InputError(f"{name}: has more than the {MAX_FILE_BYTES} bytes allowed for one image")
        return data

    def _file(self, name: str) -> Path:
        try:
            file = (self.root / self.below).resolve()
        except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links that point at each other
            raise InputError(f"{name}: cannot be opened ({error})") from None
        if not file.is_relative_to(self.root):
            raise InputError(f"{name}: a link that leaves the folder; copy the image there")
        return file


@dataclass(frozen=True)
class InlinePhoto:
    """An image file's bytes."""

    data: bytes

    def read(self, spec: InputSpec, name: str) -> np.ndarray:
        """See `Photo`."""
        return preprocess(load_image(self.data, name=name), spec)

    def content(self, name: str) -> bytes:
        """See `Photo`."""
        return self.data


def fingerprint(facts: object, files: Iterable[Path]) -> str:
    """sha256 (hex) over facts, and the name, size and time of change of files; one that is missing counts as that."""
    whole = hashlib.sha256(json.dumps(facts).encode())
    for file in files:
        try:
            info = os.stat(file)
        except OSError:
            line = "missing"
        else:
            line = f"{info.st_size} {info.st_mtime_ns}"
        whole.update(os.fsencode(file.name) + f"\0{line}\n".encode())
    return whole.hexdigest()
