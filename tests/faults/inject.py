"""One fault at one moment of one command, and what must hold afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from edgekit.errors import EdgeKitError
from tests import warm
from tests.faults.commands import Command, Material
from tests.faults.disk import Disk
from tests.waiting import PATIENCE, until
from tests.warm import Warm

__all__ = ["FAULTS", "Bench", "Fault", "Outcome"]

Tree = Mapping[str, str]  # SHA-256 of files by their path below a result; "" is a result that is a file


@dataclass(frozen=True)
class Fault:
    """What strikes, and with which exit code a command may end then; 0 where it was done before it noticed."""

    strike: Callable[[Disk, Warm], object]
    code: int
    mounts: bool = False  # it needs a disk of its own


def _kill(_disk: Disk, process: Warm) -> None:
    process.kill()


def _interrupt(_disk: Disk, process: Warm) -> None:
    process.send_signal(signal.SIGINT)


def _fill(disk: Disk, _process: Warm) -> None:
    disk.fill()


def _lock(disk: Disk, process: Warm) -> None:
    """As soon as no file is open for writing: a disk that is mounted anew waits for that."""
    while not disk.read_only() and process.poll() is None:
        time.sleep(0.001)


FAULTS: dict[str, Fault] = {
    "kill -9": Fault(_kill, -signal.SIGKILL),
    "SIGINT": Fault(_interrupt, 130),
    "disk full": Fault(_fill, 8, mounts=True),
    "read-only": Fault(_lock, 8, mounts=True),
}


@dataclass
class Outcome:
    """What one injection came to; `faults` says in a line each what did not hold."""

    struck: bool  # the command was still running
    code: int | None
    left: list[str] = field(default_factory=list)  # temporary files that were there after the run that followed
    faults: list[str] = field(default_factory=list)


def _work(started: str, folder: str, arguments: tuple[str, ...]) -> None:
    """A command as a process of its own, which says when it starts."""
    tempfile.tempdir = None  # the server may have looked for one
    os.chdir(folder)
    Path(started).touch()
    warm.command_line(*arguments)


class Bench:
    """One command on one disk: what it gives undisturbed, how long that takes, and what faults do to it."""

    def __init__(self, command: Command, material: Material, disk: Disk) -> None:
        self._command, self._material, self._disk = command, material, disk
        self._started = material.recipe.with_name("started")
        self.older: tuple[Tree, Mapping[str, bytes]] = {}, {}
        if command.older is not None:
            disk.clear()
            self._finish(*command.older)
            self.older = self._tree(), self._bytes()
        seconds, trees = [], []
        for _ in range(3):
            self._lay()
            seconds.append(self._finish())
            trees.append(self._tree())
        self.names = set(trees[0])
        self.steady = {name for name in trees[0] if len({tree.get(name) for tree in trees}) == 1} - command.timed
        self.newer, self.seconds = trees[0], min(seconds)  # the first one is slower, and others may be at work

    def injected(self, fault: Fault, moment: float, *, replacing: bool) -> Outcome:
        """Strike `moment` seconds after the start, `replacing` an earlier result or not; then run it once more."""
        command, disk = self._command, self._disk
        self._lay()
        replacing = replacing and command.older is not None
        for name, content in self.older[1].items() if replacing else ():
            path = self._out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        options = command.replaces if replacing else ()
        process = self._start(*options)
        time.sleep(moment)
        outcome = Outcome(struck=process.poll() is None, code=None)
        if outcome.struck:
            fault.strike(disk, process)
        _, errors = process.communicate(timeout=PATIENCE)
        outcome.code = process.returncode
        disk.mend()
        self._judge(outcome, fault, errors, replacing)
        self._again(outcome)
        return outcome

    def _lay(self) -> None:
        """Empty the disk, but for what the command finds there."""
        self._disk.clear()
        if self._command.laid is not None:
            shutil.copytree(self._command.laid(self._material), self._out)

    def _judge(self, outcome: Outcome, fault: Fault, errors: str, replacing: bool) -> None:
        if outcome.code not in (0, fault.code) or (outcome.code and not outcome.struck):
            outcome.faults.append(f"exit code {outcome.code}: {errors.strip()[-400:]}")
        if "Traceback" in errors or "EdgeKit failed" in errors:
            outcome.faults.append(f"a traceback: {errors.strip()[-400:]}")
        here, older = self._tree(), self.older[0] if replacing else {}
        if outcome.code == 0 and set(here) != self.names:
            outcome.faults.append(f"done, but published {sorted(here)}")
        if self._command.at_once and not (here == older or self._is_new(here)):
            outcome.faults.append(f"half-published: {sorted(here)}")
        for name, digest in here.items():
            if name in self.steady and digest not in (older.get(name), self.newer[name]) and outcome.code == 0:
                outcome.faults.append(f"{name} is neither the old one nor the new one")
        try:
            self._command.check(self._out)
            _check_whole(self._out)
        except (EdgeKitError, AssertionError, OSError, ValueError) as error:
            outcome.faults.append(f"half-published: {error}")

    def _again(self, outcome: Outcome) -> None:
        """The same command once more, as a person types it."""
        process = self._start(*self._command.again, *(self._command.replaces if self._out.exists() else ()))
        _, errors = process.communicate(timeout=PATIENCE)
        if process.returncode:
            outcome.faults.append(f"the next run ends with {process.returncode}: {errors.strip()[-400:]}")
            return
        here = self._tree()
        if not self._is_new(here):
            different = sorted(name for name in self.steady if here.get(name) != self.newer[name])
            outcome.faults.append(f"the next run gives another result: {different or sorted(here)}")
        outcome.left = self._left()

    def _is_new(self, here: Tree) -> bool:
        return set(here) == self.names and all(here[name] == self.newer[name] for name in self.steady)

    def _finish(self, *more: object) -> float:
        """Run the command undisturbed; how many seconds it took."""
        process = self._start(*more)
        started = time.perf_counter()
        until(lambda: process.poll() is not None)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
        return time.perf_counter() - started

    def _start(self, *more: object) -> Warm:
        self._started.unlink(missing_ok=True)
        command, root = self._command, self._disk.root
        out = (self._out,) if command.out is None else (command.out, self._out)
        typed = [*command.typed(self._material), *out, *more, "--quiet"]
        places = {"TMPDIR": str(root / "tmp"), "EDGEKIT_CACHE": str(root / "cache")}
        process = warm.start(_work, str(self._started), str(root), tuple(map(str, typed)), **places)
        until(self._started.exists, process)
        return process

    @property
    def _out(self) -> Path:
        return self._disk.root / self._command.result

    def _files(self) -> list[tuple[str, Path]]:
        if self._out.is_file():
            return [("", self._out)]
        return [(str(path.relative_to(self._out)), path) for path in sorted(self._out.rglob("*")) if path.is_file()]

    def _tree(self) -> Tree:
        """Of the result; what a killed process left in it unfinished is counted by `_left`."""
        whole = [(name, path) for name, path in self._files() if not _unfinished(path, self._disk.root)]
        return {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in whole
            if not name.startswith("tensorboard/")  # a log that each run begins anew, under a name of its own
        }

    def _bytes(self) -> Mapping[str, bytes]:
        return {name: path.read_bytes() for name, path in self._files()}

    def _left(self) -> list[str]:
        """What is on the disk beside the result and whole files of the cache."""
        root = self._disk.root
        found = [path for path in root.rglob("*") if path not in (root / "tmp", root / "cache", self._out)]
        return [
            str(path.relative_to(root))
            for path in found
            if _unfinished(path, root) or not (path.is_relative_to(self._out) or path.is_relative_to(root / "cache"))
        ]


def _unfinished(path: Path, below: Path) -> bool:
    parts = path.relative_to(below).parts
    return any(".partial-" in part or part.endswith((".part", ".tmp", ".unfinished")) for part in parts)


def _check_whole(out: Path) -> None:
    """Raises ValueError or OSError for a document or picture that is cut off."""
    for path in sorted(out.rglob("*")) if out.is_dir() else ():
        if _unfinished(path, out):
            continue
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
