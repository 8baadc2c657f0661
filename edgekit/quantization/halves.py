"""One folder of photographs for two uses that must not share one: ranges come from some, the others judge the files."""

from __future__ import annotations

import hashlib

from edgekit.data.images import Folder
from edgekit.errors import InputError

__all__ = ["halves"]

_FEWEST = 16  # of each
_MOST = 256  # to calibrate on: more give hardly other ranges


def halves(folder: Folder) -> tuple[Folder, Folder]:
    """The images of a folder to calibrate on, half of them and at most 256, and all others.

    By what the files hold, so that names and order do not matter, a copy goes where its original goes, and every label
    is in both. The same files are always parted in the same way.

    Raises:
        InputError: fewer than 32 different images, or one that cannot be read.
    """
    content = {name: (name.split("/")[0] if "/" in name else "", _sha256(folder, name)) for name in folder.names}
    label_of = {sha256: label for label, sha256 in sorted(content.values(), reverse=True)}
    different = sorted((label, sha256) for sha256, label in label_of.items())
    if len(different) < 2 * _FEWEST:
        raise InputError(
            f"{folder.name}: {len(different)} different images are too few to calibrate on some and judge the files on "
            f"the others; give 256 or more, at least {2 * _FEWEST}"
        )
    count = min(len(different) // 2, _MOST)
    taken = {
        sha256
        for index, (_, sha256) in enumerate(different)
        if index * count // len(different) != (index + 1) * count // len(different)
    }
    mine = {name for name, (_, sha256) in content.items() if sha256 in taken}
    return folder.only(mine, "calibration"), folder.only(set(folder.names) - mine, "the other images")


def _sha256(folder: Folder, name: str) -> str:
    try:
        with open(folder.path / name, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from None
