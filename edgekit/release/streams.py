"""Compressed streams, decompressed in small steps, so that little input cannot become much memory at once."""

from __future__ import annotations

import importlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from edgekit.errors import MissingDependencyError
from edgekit.release.reasons import LIMITS, Refused
from edgekit.support.text import human_size

__all__ = ["Blocks", "gunzip", "need_zstandard", "unzstd"]

_STEP: Final = 1 << 16  # bytes of input, or of output, at a time
_ZSTD_STEP: Final = 1 << 10  # of input: a block of 4 bytes can stand for 128 KiB
_WINDOW: Final = 1 << 27  # bytes that a Zstandard frame may refer back to
_GZIP: Final = 31  # zlib's number for a gzip stream
_FREE: Final = 16 << 20  # bytes that any archive may have, whatever their ratio


class Blocks:
    """What a stream decompresses to, to be taken by length; the bounds hold for all of it.

    Refused (too-large) where there is more than `total_bytes`, or more than `ratio` times the file.
    """

    def __init__(self, stream: Iterator[bytes], archive: Path) -> None:
        self._stream, self._archive, self._held, self._bytes = stream, archive, bytearray(), 0
        # Headers and the end of a tar archive come on top.
        most = max(_FREE, archive.stat().st_size * LIMITS["ratio"])
        self._most = min(most, LIMITS["total_bytes"] + 2048 * LIMITS["files"])

    def take(self, length: int) -> bytes:
        """The next `length` bytes; fewer at the end of the stream alone."""
        while len(self._held) < length:
            block = next(self._stream, None)
            if block is None:
                break
            self._bytes += len(block)
            if self._bytes > self._most:
                raise Refused("too-large", self._archive, f"it becomes more than {human_size(self._most)}")
            self._held += block
        taken = bytes(self._held[:length])
        del self._held[:length]
        return taken


def gunzip(file: BinaryIO, archive: Path) -> Iterator[bytes]:
    """The content of one gzip stream that fills a file; Refused (truncated, archive-damaged) where it is none."""
    unpacker, size = zlib.decompressobj(_GZIP), os.fstat(file.fileno()).st_size
    try:
        while not unpacker.eof:
            data = unpacker.unconsumed_tail or file.read(_STEP)
            if not data:
                raise Refused("truncated", archive)
            if block := unpacker.decompress(data, _STEP):
                yield block
    except zlib.error as error:
        raise Refused("archive-damaged", archive, "no gzip stream") from error
    if unpacker.unused_data or file.tell() != size:
        raise Refused("archive-damaged", archive, "something stands behind its end")


def need_zstandard() -> Any:
    """The module zstandard. Raises MissingDependencyError where it is not installed."""
    try:
        return importlib.import_module("zstandard")
    except ImportError as error:
        raise MissingDependencyError("zstandard is not installed; pip install 'edgekit[release]'") from error


def unzstd(file: BinaryIO, archive: Path) -> Iterator[bytes]:
    """The content of one Zstandard frame that fills a file.

    Raises:
        Refused: truncated or archive-damaged.
        MissingDependencyError: zstandard is not installed.
    """
    zstandard = need_zstandard()
    unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
    size = os.fstat(file.fileno()).st_size
    try:
        while not unpacker.eof:
            data = file.read(_ZSTD_STEP)
            if not data:
                raise Refused("truncated", archive)
            if block := unpacker.decompress(data):
                yield block
    except zstandard.ZstdError as error:
        raise Refused("archive-damaged", archive, "no Zstandard frame") from error
    if unpacker.unused_data or file.tell() != size:
        raise Refused("archive-damaged", archive, "something stands behind its end")
