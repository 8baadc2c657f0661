"""The folder that a manifest describes: written, read, found again, and compared with it file by file."""

from __future__ import annotations

import stat
from contextlib import AbstractContextManager
from pathlib import Path

from edgekit.artifact.manifest import FILENAME, FileEntry, Manifest
from edgekit.errors import InputError, IntegrityError, UsageError
from edgekit.support.files import list_files, read_json, sha256_file
from edgekit.support.staging import staging
from edgekit.targets import by_suffix

__all__ = [
    "check_size",
    "describe_files",
    "find",
    "published_files",
    "publishing",
    "read_manifest",
    "stated",
    "verify_files",
    "write_manifest",
]


def describe_files(folder: Path) -> list[FileEntry]:
    """Size and hash of every file below `folder` but its manifest; InputError on a symbolic link."""
    return [
        FileEntry(path=name, bytes=(folder / name).stat().st_size, sha256=sha256_file(folder / name))
        for name in list_files(folder)
        if name != FILENAME
    ]


def write_manifest(manifest: Manifest, folder: Path) -> Path:
    """Write manifest.json into `folder`; equal manifests give equal bytes. OutputError where it cannot be written."""
    return manifest.write(folder / FILENAME)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest that anyone may have written; InputError says what is wrong with it.

    At most 4 MB and 32 levels deep, strict JSON (no NaN, no name twice), no unknown field, no other schema version.
    """
    return Manifest.read(path / FILENAME if path.is_dir() else path)


def published_files(folder: Path) -> set[str] | None:
    """The files that `folder`'s manifest, of any version, claims, and itself; None without an EdgeKit manifest."""
    try:
        content = read_json(folder / FILENAME)
    except InputError:
        return None
    if not isinstance(content, dict) or not str(content.get("schema")).startswith("edgekit.manifest/"):
        return None
    files = content.get("files")
    entries = files if isinstance(files, list) else []
    return {FILENAME} | {str(entry.get("path")) for entry in entries if isinstance(entry, dict)}


def publishing(final: Path) -> AbstractContextManager[Path]:
    """A new folder beside `final`, which becomes `final` when the block ends without an error; see `staging`.

    Raises:
        OutputError: `final` is or holds what EdgeKit did not publish, or cannot be written.
    """
    return staging(final, published_files)


def verify_files(manifest: Manifest, folder: Path) -> None:
    """Compare every listed file with its size and hash; IntegrityError names the first that differs.

    Also an error: a file that is missing, that is a link or lies behind one, or that a listed folder holds in addition.
    """
    for entry in manifest.files:
        path = _plain_file(folder, entry.path)
        size = path.stat().st_size
        if size != entry.bytes:
            raise IntegrityError(f"{path}: {size} bytes, the manifest says {entry.bytes}; get an unchanged copy")
        if (digest := sha256_file(path)) != entry.sha256:
            raise IntegrityError(
                f"{path}: sha256 {digest[:12]}..., the manifest says {entry.sha256[:12]}...; get an unchanged copy"
            )
    listed = {entry.path for entry in manifest.files}
    for top in sorted({path.split("/")[0] for path in listed if "/" in path}):
        try:
            names = list_files(folder / top)
        except InputError as error:
            raise IntegrityError(str(error)) from error
        for name in names:
            if f"{top}/{name}" not in listed:
                raise IntegrityError(f"{folder / top / name}: not in the manifest; remove it")


def find(path: Path) -> tuple[Path, Manifest | None]:
    """The artifact and its manifest, from a published folder or from the artifact inside one.

    None where the artifact has no manifest beside it that lists it. InputError where `path` does not exist, is a folder
    that is neither published nor a package, or where the manifest beside it is not valid.
    """
    if not path.exists():
        raise InputError(f"{path}: does not exist; give an artifact or the folder of an export")
    if path.is_dir() and (path / FILENAME).is_file():
        manifest = read_manifest(path)
        return path / manifest.artifact, manifest
    if path.is_dir() and by_suffix(path.suffix) is None:
        exports = sorted(folder.name for folder in path.glob("*/") if (folder / FILENAME).is_file())
        hint = f"one of the exports in it, {path / exports[0]}" if exports else "an artifact or the folder of an export"
        raise InputError(f"{path}: holds no {FILENAME}; give {hint}")
    if published_files(path.parent):
        manifest = read_manifest(path.parent)
        if path.name == manifest.artifact:
            return path, manifest
    return path, None


def stated(path: Path, manifest: Manifest | None) -> Manifest:
    """The manifest of what `find` or `open_artifact` found at `path`; InputError where there is none."""
    if manifest is None:
        raise InputError(
            f"{path}: has no manifest.json beside it, which says how to prepare images and what to expect; give the "
            "folder that `edgekit export` published"
        )
    return manifest


def check_size(path: Path, manifest: Manifest, model: str, size: tuple[int, int]) -> None:
    """UsageError where the artifact takes images of another height or width than the model that it is held against."""
    taken = tuple(manifest.preprocessing.size)
    if taken != tuple(size):
        raise UsageError(f"{path} takes {taken} pixels, {model} takes {size}; give the model that it was exported from")


def _plain_file(folder: Path, relative: str) -> Path:
    here = folder
    parts = relative.split("/")
    for depth, part in enumerate(parts, 1):
        here = here / part
        try:
            mode = here.lstat().st_mode
        except OSError as error:
            raise IntegrityError(
                f"{here}: in the manifest, but missing ({error.strerror}); get a complete copy"
            ) from error
        if not (stat.S_ISREG(mode) if depth == len(parts) else stat.S_ISDIR(mode)):
            raise IntegrityError(f"{here}: a link or special file, not a regular one; get an unchanged copy")
    return here
