"""Core AI's own runtime on Linux, which computes on the CPU: slow, and the vendor's, not the device's."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
from coreai.runtime import AIModel, NDArray

from edgekit.errors import InputError
from edgekit.support.quiet import quiet
from edgekit.support.text import reason_of, shown
from edgekit.support.threads import cores
from edgekit.targets.common import check_images, running

__all__ = ["CoreAIRunner", "compiled", "finished"]

_Result = TypeVar("_Result")
# By name of the quicker program, how far its first embedding may be from what the file says: of the half products of
# ViT-Tiny 7e-5, of ViT-Small's 2.2e-4. Parity allows half precision as much as this, and sees the first image as the
# file gives it.
_ROOM: dict[str, float | None] = {"same": None, "near": 1e-3}
_PROGRAM = Path(__file__).with_name("compiling.py")
_PATIENCE = 900  # seconds for the compiler, which has a bound of its own in CPU time
_GRACE, _LOOK, _LOOKS = 5.0, 0.02, 5  # seconds, seconds, and how often nothing is to be seen
_SAID = 4096  # bytes of its last words
_SIGNALS = {getattr(signal, "SIGXCPU", 0): "it took too much CPU time"}


class CoreAIRunner:
    """An asset, compiled for this machine.

    `embed` runs as many images at once as there are cores, and a program that the runtime is faster with: paddings are
    copies, and matrix products of half numbers are float32 and rounded. Its first image is run as the file says.
    Where the quicker program does not give that the very same floats, or with such products a cosine of 0.999, all
    images are. `run` always computes as the file says.
    """

    runtime = "coreai (Linux CPU)"
    reference = False

    def __init__(self, path: Path) -> None:
        self._folder = TemporaryDirectory(prefix="edgekit-coreai-")
        folder = Path(self._folder.name)
        _compile(path, folder)
        self._written = _loaded(path, folder / "written.aimodelx")
        found = [name for name in _ROOM if (folder / f"{name}.aimodelx").is_dir()]
        self._quick = _loaded(path, folder / f"{found[0]}.aimodelx") if found else None
        self._room = _ROOM[found[0]] if found else None
        self._first: tuple[np.ndarray, np.ndarray] | None = None  # an image, and its embedding as the file says
        self._at_once = cores()
        self._input, self._output, self.input_size = _borders(path, self._written.desc)

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embed uint8 [N,H,W,3] RGB images; returns float32 [N,D]."""
        check_images(images, self.input_size)
        if self._quick is not None and self._first is None and len(images):
            self._compare(images[0])
        starts = range(0, len(images), self._at_once)
        rows = [row for start in starts for row in self._quickly(images[start : start + self._at_once])]
        return np.stack(rows) if rows else np.zeros((0, self._written.desc.output_descriptor(self._output).shape[1]))

    def ready(self, image: np.ndarray) -> Any:
        """One uint8 [H,W,3] image as the runtime takes it."""
        return NDArray(np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32))

    def run(self, ready: Any) -> np.ndarray:
        """The embedding float32 [D] of an image that is ready."""
        with running("Core AI"):
            return self._row(finished(_call(self._written, [{self._input: ready}]))[0])

    def _compare(self, image: np.ndarray) -> None:
        due = self.run(self.ready(image))
        (found,) = self._run(self._quick, image[None])
        if not _agree(due, found, self._room):
            self._quick = None
        self._first = image.copy(), due

    def _quickly(self, images: np.ndarray) -> list[np.ndarray]:
        rows = self._run(self._quick or self._written, images)
        if self._first is not None:
            first, due = self._first
            rows = [due if np.array_equal(image, first) else row for image, row in zip(images, rows, strict=True)]
        return rows

    def _run(self, function: Any, images: np.ndarray) -> list[np.ndarray]:
        feeds = [{self._input: self.ready(image)} for image in images]
        with running("Core AI"):
            return [self._row(answer) for answer in finished(_call(function, feeds))]

    def _row(self, answer: dict[str, Any]) -> np.ndarray:
        return np.array(answer[self._output].numpy(), dtype=np.float32).reshape(-1)


def _agree(one: np.ndarray, other: np.ndarray, room: float | None) -> bool:
    """Whether two embeddings are equal, or `room` from a cosine of 1 at most."""
    if room is None:
        return np.array_equal(one, other)
    length = np.linalg.norm(one) * np.linalg.norm(other)
    return bool(one @ other >= (1 - room) * length > 0)  # not with NaN


def _compile(path: Path, folder: Path) -> None:
    """Compile in a process of its own, with bounded time and memory: hostile bytecode crashes the compiler."""
    command = [sys.executable, "-P", str(_PROGRAM), str(path.absolute()), str(folder)]
    with (folder / "said").open("w+b") as said:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=_PATIENCE, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise InputError(
                f"{path}: Core AI's compiler did not end within {_PATIENCE // 60} minutes: export it again"
            ) from error
        if not done.returncode:
            return
        said.seek(max(0, said.seek(0, os.SEEK_END) - _SAID))
        lines = said.read().decode(errors="replace").strip().splitlines()
    crash = _SIGNALS.get(-done.returncode, "it crashed")
    reason = crash if done.returncode < 0 or not lines else shown(lines[-1], 200)
    raise InputError(f"{path}: Core AI cannot compile this asset ({reason}): export it again")


def compiled(path: Path, folder: Path) -> Path:
    """Compile an asset into `folder`; the program that this machine runs sooner, where there is one."""
    _compile(path, folder)
    made = (folder / f"{name}.aimodelx" for name in (*_ROOM, "written"))
    return next(program for program in made if program.is_dir())


def _loaded(path: Path, compiled: Path) -> Any:
    async def load() -> Any:
        return (await AIModel.load(compiled)).load_function("main")

    with quiet("Core AI", native=True):
        try:
            return finished(load())
        except Exception as error:
            raise InputError(f"{path}: Core AI cannot load this asset ({reason_of(error)}): export it again") from error


def _borders(path: Path, description: Any) -> tuple[str, str, tuple[int, int]]:
    """The names of the one input and output, and (height, width)."""
    inputs, outputs = description.input_names, description.output_names
    if len(inputs) == len(outputs) == 1 and not description.state_names:
        taken, given = description.input_descriptor(inputs[0]), description.output_descriptor(outputs[0])
        size = list(taken.shape)
        floats = taken.dtype == given.dtype == "float32"
        if (
            floats
            and len(size) == 4
            and size[:2] == [1, 3]
            and None not in size
            and len(given.shape) == 2
            and given.shape[0] == 1
        ):
            return inputs[0], outputs[0], (int(size[2]), int(size[3]))
    raise InputError(
        f"{path}: not an embedder, which takes one float32 [1, 3, H, W] and gives one float32 [1, D]: export it again"
    )


async def _call(function: Any, feeds: Sequence[dict[str, Any]]) -> list[Any]:
    return list(await asyncio.gather(*(function(feed) for feed in feeds)))


def finished(work: Coroutine[Any, Any, _Result]) -> _Result:
    """The result of asynchronous work, wherever this is called from."""
    future: Future[_Result] = asyncio.run_coroutine_threadsafe(work, _loop())
    return future.result()


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """The process's event loop for Core AI, which runs in a thread of its own: the caller may have another."""
    loop = asyncio.new_event_loop()
    atexit.register(_settle)
    threading.Thread(target=loop.run_forever, name="Core AI", daemon=True).start()
    return loop


def _settle() -> None:
    """Let Core AI's threads finish before Python ends: they let go of Python's objects a moment after they gave their
    result, and one that comes too late aborts the process (coreai-core 1.0.0b3).
    """
    still, end = 0, time.monotonic() + _GRACE
    while still < _LOOKS and time.monotonic() < end:
        time.sleep(_LOOK)  # they can have Python's lock now
        still = 0 if _busy() else still + 1


def _busy() -> bool:
    """Whether another thread of this process is running, or would if there were a core for it."""
    own = str(threading.get_native_id())
    for thread in Path("/proc/self/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            if thread.parent.name != own and thread.read_text().rpartition(")")[2].split()[0] == "R":
                return True
    return False
