"""A process whose output is read as it comes, and which does not outlive who reads it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

__all__ = ["followed"]

_PATIENCE = 3600  # seconds, on the clock: torch is half a gigabyte to download


@contextmanager
def followed(command: Sequence[str], errors: int | IO[bytes]) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """Start it, with its stderr to `errors`; gives the process and what it prints. It has ended afterwards.

    It is killed where the block raises, and where it takes too long.
    """
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        watch = threading.Timer(_PATIENCE, process.kill)
        watch.start()
        try:
            yield process, process.stdout
        except BaseException:
            process.kill()
            raise
        finally:
            watch.cancel()
