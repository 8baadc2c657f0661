"""The folder of a Core AI asset: its three files, written the same for the same program, and checked before use."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit.errors import InputError
from edgekit.support.text import shown
from edgekit.targets.coreai.bytecode import MAGIC, NEWEST, version_of

__all__ = ["ASSET_VERSION", "check", "operators", "write"]

PROGRAM, HASH, METADATA = "main.mlirb", "main.hash", "metadata.json"
ASSET_VERSION = (2, 0)  # the newest that coreai-core 1.0 knows
_MOST_METADATA = 1 << 20  # bytes
_MOST_PROGRAM = 1 << 32


def write(path: Path, code: bytes, metadata: Mapping[str, Any]) -> None:
    """Write the asset's folder at `path`, in place of what is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.mkdir(parents=True)
    (path / PROGRAM).write_bytes(code)
    (path / HASH).write_bytes(hashlib.sha256(code).digest())
    (path / METADATA).write_text(json.dumps(metadata, indent=2, sort_keys=True) + "\n")


def operators(path: Path) -> dict[str, int]:
    """Count of each operator of an asset, by name, constants left out, as Apple's own summary tells it."""
    from coreai.authoring import AIModelAsset

    summary = AIModelAsset.load(path).summary()
    assert summary is not None
    return {name: count for name, count in summary.operation_distribution if name != "constant"}


def check(path: Path) -> None:
    """Raises InputError where the folder is not an asset that can be given to Core AI, in one line."""
    if not path.is_dir():
        raise InputError(f"{path}: a Core AI asset is a folder with {PROGRAM}, and this is none: export it again")
    for name, most in ((PROGRAM, _MOST_PROGRAM), (HASH, 64), (METADATA, _MOST_METADATA)):
        file = path / name
        if file.is_symlink() or not file.is_file():
            raise InputError(f"{path}: this Core AI asset has no file {name}: export it again")
        if not 0 < file.stat().st_size <= most:
            raise InputError(f"{path}: {name} has {file.stat().st_size} bytes, at most {most} allowed: export it again")
    _check_metadata(path)
    with (path / PROGRAM).open("rb") as program:
        version = version_of(program.read(16))
        if version is None:
            raise InputError(f"{path}: {PROGRAM} is no MLIR bytecode, which begins with {MAGIC!r}: export it again")
        if version > NEWEST:
            raise InputError(
                f"{path}: {PROGRAM} is bytecode of version {version}, newer than {NEWEST}, the newest that is known "
                "here: update coreai-core and EdgeKit"
            )
        program.seek(0)
        digest = hashlib.file_digest(program, "sha256").digest()
    if digest != (path / HASH).read_bytes():
        raise InputError(
            f"{path}: {PROGRAM} does not have the hash that {HASH} states, so it was edited or damaged: export it again"
        )


def _check_metadata(path: Path) -> None:
    try:
        document = json.loads((path / METADATA).read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {METADATA} is not JSON ({shown(str(error), 80)}): export it again") from error
    stated = document.get("assetVersion") if isinstance(document, dict) else None
    parts = str(stated).split(".") if isinstance(stated, str) and len(stated) < 20 else []
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() for part in parts):
        raise InputError(f"{path}: {METADATA} states no `assetVersion`: export it again")
    if (int(parts[0]), int(parts[1])) > ASSET_VERSION:
        newest = ".".join(map(str, ASSET_VERSION))
        raise InputError(
            f"{path}: the asset's version is {stated}, newer than {newest}, the newest that is known here: "
            "update coreai-core and EdgeKit"
        )
