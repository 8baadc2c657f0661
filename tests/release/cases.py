"""What a case of the table of good and tampered bundles is, and how it becomes files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edgekit.release.bundle import ARCHIVE_SIGNATURE, SIGNATURE
from tests.release.craft import Files

__all__ = ["BAD_NAMES", "PHONES", "Made", "Row", "put"]

PHONES: Final = ("folder", "zip")  # kinds that they read
# Names that leave the folder, that some file system cannot keep, or that look like another name.
BAD_NAMES: Final = {
    "parent": "../escaped.txt",
    "parent inside": "catalog/../../escaped.txt",
    "absolute": "/tmp/escaped.txt",
    "backslash": "catalog\\..\\..\\escaped.txt",
    "drive letter": "C:/escaped.txt",
    "alternate stream": "catalog/model.onnx:other",
    "dot": "catalog/./model.onnx",
    "empty part": "catalog//model.onnx",
    "folder's entry": "catalog/",
    "empty": "",
    "control character": "catalog/model\n.onnx",
    "zero byte": "catalog/model\0.onnx",
    "trailing dot": "catalog/model.onnx.",
    "trailing space": "catalog /model.onnx",
    "device of Windows": "catalog/NUL.onnx",
    "decomposed accent": "catalog/e\u0301.onnx",
    "composed accent": "catalog/\u00e9.onnx",
    "look-alike letter": "catalog/m\u043edel.onnx",
    "right-to-left mark": "catalog/model\u202exnno.",
    "full-width letters": "catalog/\uff4dodel.onnx",
    "long": "catalog/" + "m" * 101,
    "very long": "/".join(["m" * 50] * 6),
}
Act = Callable[[Path], object]


@dataclass(frozen=True)
class Made:
    """What one case consists of."""

    content: Files | bytes  # of a folder; of an archive
    signature: bytes | None
    kind: str = "folder"
    then: Act | None = None  # done to the folder, or beside the archive, once it is written
    expectations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One case: its name, what is done, the reason of the refusal (None: it is accepted), and how it is made."""

    name: str
    what: str
    expected: str | None
    make: Callable[[], Made]
    phones: bool = True


def put(made: Made, folder: Path) -> tuple[Path, Path]:
    """Write a case into `folder`; the paths of what is to be verified and of its signature, which may be missing."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(made.content, bytes):
        path = folder / f"bundle.{made.kind}"
        path.write_bytes(made.content)
        signature = path.with_name(path.name + ARCHIVE_SIGNATURE)
    else:
        path = folder / "bundle"
        path.mkdir()
        for name, content in made.content.items():
            target = os.fsencode(path) + b"/" + os.fsencode(name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            Path(os.fsdecode(target)).write_bytes(content)
        signature = path / SIGNATURE
    if made.signature is not None:
        signature.write_bytes(made.signature)
    if made.then is not None:
        made.then(path)
    return path, signature
