"""Parts that are done, in a folder beside the file that is to be: what a run that was killed goes on from."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgekit.embedding.file import Rows
from edgekit.embedding.work import Part
from edgekit.errors import InputError, OutputError, UsageError
from edgekit.support.drafts import sweep
from edgekit.support.files import read_json, write_atomically

__all__ = ["Journal"]

_FACTS: Final = "journal.json"
_PART: Final = re.compile(r"(\d{7,})\.part")
_MAX_HEAD: Final = 64 << 20  # bytes of a part's texts
_UNFINISHED: Final = ".new"


class Journal:
    """The folder FILE.part, which one run fills at a time.

    `keys` are hashes of all that an embedding depends on, by what people call it: "model", "data". Whoever opens a
    folder with other keys is refused, unless `anew`, which empties it.

    Raises:
        UsageError: the folder is of another run, or another process fills it.
        OutputError: it cannot be written.
    """

    def __init__(self, out: Path, keys: dict[str, str], *, anew: bool) -> None:
        self.folder = out.with_name(f"{out.name}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise OutputError(
                f"{self.folder}: cannot be written ({error.strerror}); give another `out`", field="out"
            ) from error
        try:
            self._claim(keys, anew)
        except BaseException:
            self.close()
            raise

    def _claim(self, keys: dict[str, str], anew: bool) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{self.folder}: another process is filling it; wait for it, or give another `out`"
            ) from None
        except OSError:
            pass  # a file system without locks
        sweep(self.folder)
        for path in self.folder.glob(f"*{_UNFINISHED}"):
            path.unlink()
        there = sorted(path.name for path in self.folder.iterdir())
        if foreign := [name for name in there if name != _FACTS and not _PART.fullmatch(name)]:
            raise UsageError(f"{self.folder / foreign[0]}: is not of a run of `edgekit embed`; give another `out`")
        if there and (other := self._differs(keys)):
            if not anew:
                raise UsageError(
                    f"{self.folder}: an earlier run was stopped there, of {other}; finish that one, or begin anew with "
                    "`overwrite=True`",
                    field="overwrite",
                )
            for name in there:
                (self.folder / name).unlink()
        write_atomically(self.folder / _FACTS, json.dumps({"edgekit_journal": keys}) + "\n")

    def _differs(self, keys: dict[str, str]) -> str:
        try:
            facts = read_json(self.folder / _FACTS, max_bytes=1 << 16)["edgekit_journal"]
            other = [name for name in keys if facts[name] != keys[name]]
        except (InputError, KeyError, TypeError):
            return "an unknown kind"
        return " and ".join(f"another {name}" if name == "model" else f"other {name}" for name in other)

    def done(self) -> set[int]:
        """The numbers of the parts that are there and whole."""
        found = (_PART.fullmatch(path.name) for path in self.folder.iterdir())
        return {number for match in found if match for number in [int(match[1])] if self._is_whole(number)}

    def _is_whole(self, number: int) -> bool:
        try:
            self.read(number)
        except InputError:
            return False
        return True

    def write(self, number: int, part: Part) -> None:
        """Keep a part, so that it outlives this process. OutputError where it cannot be written."""
        # Not put on the disk by force, which would take longer than many a part: a checksum tells whether it got there.
        values = part.values.astype("<f4").tobytes()
        texts = [list(texts) for texts in part.texts]
        head = json.dumps([part.ids, texts, part.skipped, list(part.values.shape)]).encode()
        path = self._path(number)
        unfinished = path.with_suffix(_UNFINISHED)
        try:
            unfinished.write_bytes(b"%08x " % zlib.crc32(values, zlib.crc32(head)) + head + b"\n" + values)
            os.replace(unfinished, path)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise OutputError(
                f"cannot write {path}: {error.strerror}; free some space, and the same command goes on from here"
            ) from error

    def read(self, number: int) -> Part:
        """A part that was kept; InputError where it is damaged."""
        try:
            with open(self._path(number), "rb") as stream:
                sum, _, head = stream.readline(_MAX_HEAD).rstrip(b"\n").partition(b" ")
                values = stream.read()
            if int(sum, 16) != zlib.crc32(values, zlib.crc32(head)):
                raise ValueError("another checksum")
            ids, texts, skipped, shape = json.loads(head)
            rows = np.frombuffer(values, "<f4").reshape(shape)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{self._path(number)}: damaged; remove it, and give the same command again") from error
        return Part(ids, rows, texts, [(name, reason) for name, reason in skipped])

    def rows(self, count: int, columns: Sequence[str], skipped: list[tuple[str, str]]) -> Iterator[Rows]:
        """The rows of the first `count` parts in order; what those skipped is added to `skipped`."""
        for number in range(count):
            part = self.read(number)
            skipped += part.skipped
            if part.ids:
                texts: dict[str, Any] = {name: [row[at] for row in part.texts] for at, name in enumerate(columns)}
                yield Rows(part.ids, part.values, texts)

    def remove(self) -> None:
        """Nothing is left to go on from."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Let another process fill it."""
        with contextlib.suppress(OSError):
            os.close(self._lock)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:07d}.part"
