"""All or nothing: a result is built beside its final name and moved there in one step."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from edgekit.errors import EdgeKitError, OutputError
from edgekit.files import list_files, source_date_epoch
from edgekit.manifest import is_published

__all__ = ["staging"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_DENIED = {errno.EACCES, errno.EPERM}


@contextlib.contextmanager
def staging(final: Path) -> Iterator[Path]:
    """A new folder beside `final`; what the block wrote there becomes `final` when the block ends without an error.

    An older published folder under that name is replaced in one step; whenever the process dies, `final` is the old
    tree, the new tree, or absent as before. Any exception removes the new folder and leaves `final` as it was.
    Folders that killed processes left behind are removed by the next call for the same name. Raises OutputError where
    `final` is something that EdgeKit did not publish, and on a full or read-only disk or a missing permission. With
    SOURCE_DATE_EPOCH set, all files get that time.
    """
    final = Path(os.path.normpath(final.absolute()))
    epoch = source_date_epoch()
    _refuse_foreign(final)
    with _one_line(final, final.parent):
        final.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(final)
        folder, lock = _create(final)
    try:
        with _one_line(final, folder):
            yield folder
            _finish(folder, epoch)
            _refuse_foreign(final)
            _move(folder, final)
    finally:
        # After a move onto an older tree this name holds that tree; after any error, the unfinished one.
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _refuse_foreign(final: Path) -> None:
    if not os.path.lexists(final):
        if final.parent == final:
            raise OutputError(f"{final}: not a folder to publish to; give another --output")
        return
    if final.is_symlink() or not final.is_dir():
        raise OutputError(f"{final}: is there and is not a folder; remove it or give another --output")
    try:
        empty = not any(final.iterdir())
    except OSError as error:
        raise OutputError(f"{final}: cannot be listed ({error.strerror}); give another --output") from error
    if not empty and not is_published(final):
        raise OutputError(f"{final}: holds files that EdgeKit did not publish; give another --output")


def _create(final: Path) -> tuple[Path, int]:
    """Make the staging folder and hold a lock on it for as long as this process lives."""
    while True:
        folder = final.with_name(f"{_prefix(final)}{secrets.token_hex(6)}")
        folder.mkdir()
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        # A file system without locks goes on without: its leftovers then stay (`_remove_stale` needs the lock).
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Another process may have taken the folder for a leftover before it was locked.
        if os.fstat(lock).st_nlink > 0 and folder.is_dir():
            return folder, lock
        os.close(lock)


def _prefix(final: Path) -> str:
    return f".{final.name}.partial-"


def _remove_stale(final: Path) -> None:
    for path in list(final.parent.iterdir()):
        if not path.name.startswith(_prefix(final)):
            continue
        with contextlib.suppress(OSError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def _finish(folder: Path, epoch: int | None) -> None:
    """Set the times and put every byte on the disk, files before the folders that name them."""
    names = list_files(folder)
    folders = {folder} | {parent for name in names for parent in (folder / name).parents if parent != folder.parent}
    folders = {path for path in folders if path == folder or folder in path.parents}
    for path in [*(folder / name for name in names), *sorted(folders, reverse=True)]:
        if epoch is not None:
            os.utime(path, (epoch, epoch))
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _move(folder: Path, final: Path) -> None:
    if not final.exists() or not any(final.iterdir()):
        folder.rename(final)
    elif not _exchange(folder, final):
        # Without an exchange in the file system, the name is absent for an instant, never half a tree.
        old = final.with_name(f"{_prefix(final)}{secrets.token_hex(6)}")
        final.rename(old)
        try:
            folder.rename(final)
        except OSError:
            old.rename(final)
            raise
        shutil.rmtree(old, ignore_errors=True)
    _sync(final.parent)


def _exchange(left: Path, right: Path) -> bool:
    """Swap two names in one step (renameat2 on Linux, renamex_np on macOS); False where the system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    try:
        if sys.platform == "darwin":
            swap = 0x2
            failed = library.renamex_np(os.fsencode(left), os.fsencode(right), ctypes.c_uint(swap))
        else:
            here, swap = -100, 0x2
            failed = library.renameat2(here, os.fsencode(left), here, os.fsencode(right), ctypes.c_uint(swap))
    except AttributeError:
        return False
    if failed and (code := ctypes.get_errno()) not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        raise OSError(code, os.strerror(code), str(right))
    return not failed


@contextlib.contextmanager
def _one_line(final: Path, folder: Path) -> Iterator[None]:
    """Turn what a full disk or a missing permission below `folder` raises into an OutputError."""
    try:
        yield
    except EdgeKitError:
        raise
    except OSError as error:
        ours = error.filename is None or Path(os.fsdecode(error.filename)).is_relative_to(folder.parent)
        if error.errno in _FULL or (error.errno in _DENIED and ours):
            raise OutputError(f"{final}: cannot be written ({error.strerror}); give another --output") from error
        raise
    except Exception as error:
        # Native writers (Core ML's, XNNPACK's) report a full disk as a RuntimeError without an errno.
        if shutil.disk_usage(final.parent).free < 1 << 16:
            raise OutputError(f"{final}: cannot be written (the disk is full); give another --output") from error
        raise
