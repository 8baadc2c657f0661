"""All or nothing: a result is built beside its final name and moved there in one step."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from edgekit.errors import EdgeKitError, InputError, OutputError
from edgekit.support.drafts import FULL, TOO_LITTLE, draft, is_full, publishable, sync
from edgekit.support.files import list_files, source_date_epoch

__all__ = ["move", "staging"]

_UNWRITABLE = {*FULL, errno.EFBIG, errno.EROFS, errno.EXDEV, errno.ENAMETOOLONG}
_DENIED = {errno.EACCES, errno.EPERM}
_FINDERS = (".DS_Store", "._")  # macOS writes these into every folder that somebody looks at


@contextlib.contextmanager
def staging(final: Path, claimed: Callable[[Path], set[str] | None]) -> Iterator[Path]:
    """A new folder beside `final`; what the block wrote there becomes `final` when the block ends without an error.

    An older folder under that name whose files EdgeKit wrote (`claimed` names them) is replaced in one step; whenever
    the process dies, `final` is the old tree, the new tree, or absent as before. Any exception removes the new folder
    and leaves `final` as it was.
    Folders that killed processes left beside `final` are removed. Files and folders get the permissions that the umask
    gives new ones, and with SOURCE_DATE_EPOCH set all files that time. Raises OutputError where `final` is or holds
    something that EdgeKit did not publish, and on a full or read-only disk or a missing permission.
    """
    final = Path(os.path.normpath(final.absolute()))
    epoch = source_date_epoch()
    _refuse_foreign(final, claimed)
    stack = contextlib.ExitStack()
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        folder = stack.enter_context(draft(final.parent, final.name))
    except OSError as error:
        raise _unwritable(final, error.strerror) from error
    # After a move onto an older tree the draft's name holds that tree; after any error, the unfinished one.
    with stack, _one_line(final, folder):
        yield folder
        _finish(folder, epoch)
        _refuse_foreign(final, claimed)
        move(folder, final)


def _refuse_foreign(final: Path, claimed: Callable[[Path], set[str] | None]) -> None:
    if not os.path.lexists(final):
        return
    if final.is_symlink() or not final.is_dir():
        raise OutputError(f"{final}: exists and is not a folder; remove it or give another `out`", field="out")
    try:
        if not any(final.iterdir()):
            return
        names = list_files(final)
    except (OSError, InputError) as error:
        raise OutputError(f"{final}: cannot be replaced ({error}); give another `out`", field="out") from error
    ours = claimed(final)
    if ours is None:
        raise OutputError(f"{final}: holds files that EdgeKit did not publish; give another `out`", field="out")
    if foreign := [name for name in names if name not in ours and not Path(name).name.startswith(_FINDERS)]:
        raise OutputError(f"{final / foreign[0]}: EdgeKit did not publish it and would delete it; move it elsewhere")


def _finish(folder: Path, epoch: int | None) -> None:
    """Set permissions and times and put every byte on the disk, files before the folders that name them."""
    list_files(folder)  # refuses links, which would point elsewhere once the tree is copied
    for here, _, names in os.walk(folder, topdown=False):
        for path in [*(Path(here, name) for name in names), Path(here)]:
            publishable(path, folder)
            if epoch is not None:
                os.utime(path, (epoch, epoch))
            sync(path)


def move(folder: Path, final: Path) -> None:
    """Give a draft its final name in one step; where a tree had that name, the draft has become that tree."""
    try:
        folder.rename(final)  # onto nothing or an empty folder
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if not _exchange(folder, final):
            _replace_in_two_steps(folder, final)
    sync(final.parent)


def _replace_in_two_steps(folder: Path, final: Path) -> None:
    """Where names cannot be swapped, the name is absent for an instant, never half a tree."""
    old = final.with_name(f".{final.name}.partial-{secrets.token_hex(6)}")
    final.rename(old)
    try:
        folder.rename(final)
    except BaseException:
        old.rename(final)
        raise
    shutil.rmtree(old, ignore_errors=True)


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
    if failed and (code := ctypes.get_errno()) not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EXDEV):
        raise OSError(code, os.strerror(code), str(right))
    return not failed


@contextlib.contextmanager
def _one_line(final: Path, folder: Path) -> Iterator[None]:
    """Turn what a full disk, or a missing permission in `folder` or beside it, raises into an OutputError."""
    try:
        yield
    except EdgeKitError:
        raise
    except OSError as error:
        named = error.filename
        ours = not isinstance(named, str | bytes) or Path(os.fsdecode(named)).is_relative_to(folder.parent)
        if error.errno in _UNWRITABLE or (error.errno in _DENIED and ours):
            raise _unwritable(final, error.strerror) from error
        raise
    except Exception as error:
        # Native writers (Core ML's, XNNPACK's) report a full disk as a RuntimeError without an errno.
        if is_full(error) or shutil.disk_usage(final.parent).free < TOO_LITTLE:
            raise _unwritable(final, "the disk is full") from error
        raise


def _unwritable(final: Path, why: str | None) -> OutputError:
    return OutputError(f"{final}: cannot be written ({why}); make room or give another `out`", field="out")
