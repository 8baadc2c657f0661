"""Processes of their own that start warm: a fresh one spends ten to thirty seconds of CPU in imports.

They are forked from a server that has imported what trains and exports, and done nothing else, so that a signal, a
kill, a limit or another seed of the hash is as real as in a fresh one. What a start itself does is not their subject.
"""

from __future__ import annotations

import atexit
import io
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["Warm", "command_line", "edgekit", "preload", "ranks", "start"]

_CONTEXT = multiprocessing.get_context("forkserver")
_IMPORTED = [
    "accelerate", "coremltools", "executorch.exir", "onnxruntime", "onnxscript", "torch._dynamo", "torch.distributed",
    "torch.onnx._internal.exporter._compat", "torchvision", "edgekit.cli", "edgekit.distillation.run",
    "edgekit.pipeline", "edgekit.targets.coreml.backend", "edgekit.targets.executorch.backend",
    "edgekit.targets.onnx.backend", "tests.toys",
]  # fmt: skip
_CONTEXT.set_forkserver_preload(_IMPORTED)


def preload(*modules: str) -> None:
    """Have the server import these as well; before the first process is started."""
    _CONTEXT.set_forkserver_preload([*_IMPORTED, *modules])


class Warm:
    """A running process, with what tests use of `subprocess.Popen`."""

    def __init__(self, work: Callable[..., object], arguments: tuple[Any, ...], environment: Mapping[str, str]) -> None:
        self._said = tempfile.TemporaryDirectory()
        self._process = _CONTEXT.Process(
            target=_live, args=(Path(self._said.name), os.getcwd(), dict(environment), work, arguments)
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code; minus the signal's number where one ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; what was written to stdout and to stderr."""
        self._process.join(timeout)
        assert self.returncode is not None, f"it has not ended in {timeout} s"
        said = [(Path(self._said.name) / name).read_text() for name in ("1", "2")]
        return said[0], said[1]


def start(work: Callable[..., object], *arguments: Any, **environment: str) -> Warm:
    """Call a function of a test module in a process of its own; an error or a `SystemExit` is its exit code."""
    return Warm(work, arguments, environment)


def edgekit(*arguments: object, **environment: str) -> Warm:
    """`edgekit ARGUMENTS` as a process."""
    return start(command_line, *map(str, arguments), **environment)


def ranks(count: int) -> list[dict[str, str]]:
    """The environments of processes that train together on this machine, as torchrun sets them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "ACCELERATE_USE_CPU": "true"}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def command_line(*arguments: str) -> None:
    """`edgekit ARGUMENTS` in this process, which it ends."""
    from edgekit.cli import main

    sys.argv = ["edgekit", *arguments]
    main()


def _live(
    said: Path, place: str, environment: Mapping[str, str], work: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    """The body of a warm process: its own streams, folder and environment, and what a normal end runs."""
    os.chdir(place)
    os.environ.update(environment)
    for number in (1, 2):
        opened = os.open(said / str(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "wb", closefd=False), line_buffering=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "wb", closefd=False), line_buffering=True)
    try:
        work(*arguments)
    finally:
        atexit._run_exitfuncs()
