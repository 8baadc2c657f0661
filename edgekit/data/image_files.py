"""Image files by name: which of a folder's are read, and which are left out because nothing here reads their kind."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgekit.errors import InputError
from edgekit.support.text import shown

__all__ = ["LeftOut", "MostLeftOutError", "Scan", "advice", "is_unread", "readable", "scan"]

_ALWAYS = (
    *(".apng", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo"),
    *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff"),
)
_OF_PILLOW = {"avif": (".avif",), "webp": (".webp",)}  # by the name of Pillow's feature
_HEIF = (".heic", ".heif")
# Suffixes that only images have. Videos and documents are not images, and are not counted as left out.
_IMAGES = frozenset(
    (
        *(".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif", ".webp"),
        *(".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jph", ".jpx", ".jxl", ".jxr", ".hdp", ".wdp", ".jls"),
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc", ".mef"),
        *(".mos", ".mrw", ".nef", ".nrw", ".orf", ".ori", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf"),
        *(".srw", ".x3f", ".bpg", ".dds", ".dib", ".exr", ".flif", ".hdr", ".icns", ".ico", ".pcx"),
        *(".pfm", ".psb", ".psd", ".qoi", ".ras", ".sgi", ".svg", ".svgz", ".tga", ".xbm", ".xcf", ".xpm"),
    )
)
_NAMED = 3


class MostLeftOutError(InputError):
    """Of over half of a folder's images nothing here reads the kind."""


@cache
def readable() -> frozenset[str]:
    """The suffixes of image files that can be read here, in lower case; HEIC is among them with pillow-heif."""
    from PIL import features

    suffixes = [suffix for name, own in _OF_PILLOW.items() if features.check(name) for suffix in own]
    if importlib.util.find_spec("pillow_heif") is not None:
        suffixes += _HEIF
    return frozenset((*_ALWAYS, *suffixes))


def is_unread(name: str) -> bool:
    """Whether a file is an image by its suffix, of a kind that is not read here."""
    suffix = os.path.splitext(name)[1].lower()
    return suffix in _IMAGES and suffix not in readable()


def advice(names: Sequence[str]) -> str:
    """What to do about images of kinds that are not read."""
    heif = any(name.lower().endswith(_HEIF) for name in names)
    return "convert them to JPEG or PNG" + (", or `pip install 'edgekit[heif]'` for HEIC" if heif else "")


@dataclass(frozen=True)
class LeftOut:
    """Images whose kind is not read here, by name, and how many images were `taken` beside them."""

    names: tuple[str, ...] = ()
    taken: int = 0

    def below(self, path: Path) -> LeftOut:
        """The same with names that begin with `path`."""
        return LeftOut(tuple(str(path / name) for name in self.names), self.taken)

    def __add__(self, other: LeftOut) -> LeftOut:
        return LeftOut(self.names + other.names, self.taken + other.taken)

    @property
    def kinds(self) -> dict[str, int]:
        """How many of each kind, by suffix in capitals, the most frequent first."""
        counts = Counter(os.path.splitext(name)[1][1:].upper() for name in self.names)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @property
    def first(self) -> list[str]:
        """The first few names, safe to print."""
        return [shown(name) for name in self.names[:_NAMED]]

    def facts(self) -> dict[str, object] | None:
        """For JSON: count, kinds and first names; None where nothing was left out."""
        return {"images": len(self.names), "kinds": self.kinds, "first": self.first} if self.names else None

    def line(self, where: str) -> str:
        """One line that says how many of what `where` holds are left out, which, and what to do."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.kinds.items())
        first = ", ".join(self.first) + (", ..." if len(self.names) > _NAMED else "")
        whole = self.taken + len(self.names)
        return f"{where}: {len(self.names)} of {whole} images left out, {kinds} ({first}); {advice(self.names)}"

    def refuse_most(self, where: str) -> None:
        """Raise MostLeftOutError where more images were left out than taken."""
        if len(self.names) > self.taken:
            raise MostLeftOutError(self.line(where))


@dataclass(frozen=True)
class Scan:
    """What is below a folder, by posix path: images, those of kinds that are not read, links that lead outside."""

    names: tuple[str, ...]
    left_out: LeftOut
    outside: tuple[str, ...]


def scan(path: Path) -> Scan:
    """Look for images below a folder, sorted; links to folders are not followed, names with a dot first are not seen.

    Raises:
        InputError: there is no such folder.
        MostLeftOutError: over half of its images are of kinds that are not read here.
    """
    if not path.is_dir():
        raise InputError(f"{shown(str(path))}: no such folder of images")
    root, suffixes = path.resolve(), readable()
    names, unread, outside = [], [], []
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for file in files:
            suffix = os.path.splitext(file)[1].lower()
            if file.startswith(".") or (suffix not in suffixes and suffix not in _IMAGES):
                continue
            whole = Path(folder, file)
            name = whole.relative_to(root).as_posix()
            if suffix not in suffixes:
                unread.append(name)
            elif whole.is_symlink() and not whole.resolve().is_relative_to(root):
                outside.append(name)
            elif whole.is_file():
                names.append(name)
    left_out = LeftOut(tuple(sorted(unread)), len(names))
    left_out.refuse_most(shown(str(path)))
    return Scan(tuple(sorted(names)), left_out, tuple(sorted(outside)))
