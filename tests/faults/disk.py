"""A small disk of its own, which can be filled up and made read-only while processes write to it."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Disk", "mounted"]

_READ_ONLY, _REMOUNT, _DETACH = 1, 32, 2  # of mount(2) and umount2(2)
_FILLER = ".filler"
_LIBRARY = ctypes.CDLL(None, use_errno=True)


class Disk:
    """A folder that commands write to: results in it, temporary files in `tmp`, caches in `cache`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def clear(self) -> None:
        """Empty it, but for the folders that it begins with."""
        for path in self.root.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for name in ("tmp", "cache"):
            (self.root / name).mkdir()

    def fill(self) -> None:
        """Write until there is no room."""
        with open(self.root / _FILLER, "ab", buffering=0) as filler:
            for block in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while filler.write(bytes(block)) == block:
                        pass

    def read_only(self) -> bool:
        """Refuse all writes from now on; False where that cannot be now, because a file is open for writing."""
        return self._mount(_REMOUNT | _READ_ONLY) in (0, errno.EROFS)

    def mend(self) -> None:
        """Take writes again, and free the room that `fill` took."""
        if os.path.ismount(self.root):
            assert self._mount(_REMOUNT) == 0
        (self.root / _FILLER).unlink(missing_ok=True)

    def _mount(self, flags: int, options: bytes | None = None) -> int:
        """0, or the number of the error."""
        failed = _LIBRARY.mount(b"none", os.fsencode(self.root), b"tmpfs", ctypes.c_ulong(flags), options)
        return ctypes.get_errno() if failed else 0


@contextlib.contextmanager
def mounted(root: Path, mebibytes: int) -> Iterator[Disk]:
    """A disk in memory at the new folder `root`. OSError where this user may not mount one."""
    root.mkdir()
    disk = Disk(root)
    if code := disk._mount(0, b"size=%dm" % mebibytes):
        raise OSError(code, f"{os.strerror(code)}; run as root, or below `unshare --map-root-user --mount`", str(root))
    try:
        disk.clear()
        yield disk
    finally:
        _LIBRARY.umount2(os.fsencode(root), _DETACH)
        root.rmdir()
