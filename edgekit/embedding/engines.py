"""Where the work is done: in processes of this machine, or on a Ray cluster. A row each; the results are equal."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, BinaryIO

from edgekit.embedding.sources import Item
from edgekit.embedding.subject import Opened, Subject
from edgekit.embedding.work import Part, embed_part, work_on
from edgekit.errors import EdgeKitError, MissingDependencyError, ModelError
from edgekit.support.quiet import quiet
from edgekit.support.threads import cores

__all__ = ["ENGINES", "Engine", "Parts", "Results", "local", "ray"]

Parts = Iterator[tuple[int, list[Item]]]
Results = Generator[tuple[int, Part], None, None]
Engine = Callable[[Subject, Opened, Parts, int | None], Results]
"""Takes what embeds, the same opened in this process, numbered parts, and how many workers; gives each part's rows as
they are done, in any order. Few parts are in memory at once."""


def local(subject: Subject, opened: Opened, parts: Parts, workers: int | None) -> Results:
    """In `workers` processes, one a core where nobody says how many; a single one is this process.

    Raises:
        ModelError: a process died.
    """
    count = workers or cores()
    if count == 1:
        yield from ((number, embed_part(opened, items)) for number, items in parts)
        return
    processes: list[_Process] = []
    idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()

    def work(number: int, items: list[Item]) -> tuple[int, Part]:
        process = idle.get()
        try:
            return number, process(items)
        finally:
            idle.put(process)

    with ThreadPoolExecutor(count) as pool:
        running: set[Future[tuple[int, Part]]] = set()
        try:
            for number, items in parts:
                if len(processes) < count:
                    processes.append(_Process(subject))
                    idle.put(processes[-1])
                running.add(pool.submit(work, number, items))
                if len(running) > count:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            for process in processes:
                process.end()
            for future in running:
                future.cancel()


class _Process:
    """A process that embeds parts, one after the other, until its input ends: also when this process is killed."""

    def __init__(self, subject: Subject) -> None:
        command = [sys.executable, "-m", "edgekit.embedding.engines"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._setup: list[Any] = [sys.path, pickle.dumps(subject)]

    def __call__(self, items: Sequence[Item]) -> Part:
        streams = self._process.stdin, self._process.stdout
        assert streams[0] is not None and streams[1] is not None
        try:
            for message in (*self._setup, items):
                pickle.dump(message, streams[0])
            streams[0].flush()
            self._setup = []
            answer = pickle.load(streams[1])
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise ModelError(
                "a process that embeds images has stopped; is memory full? The same command goes on from here, perhaps "
                "with fewer `workers`",
                field="workers",
            ) from error
        if isinstance(answer, EdgeKitError):
            raise answer
        assert isinstance(answer, Part)
        return answer

    def end(self) -> None:
        """Stop it at once."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _serve(read: BinaryIO, write: BinaryIO) -> None:
    """What such a process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process decides when to stop
    sys.path[:] = pickle.load(read)
    subject = pickle.load(read)
    with contextlib.suppress(EOFError), quiet("embedding"):
        while True:
            pickle.dump(work_on(subject, pickle.load(read)), write)
            write.flush()


def ray(subject: Subject, opened: Opened, parts: Parts, workers: int | None) -> Results:
    """As tasks of the Ray cluster that RAY_ADDRESS names, else of one on this machine. A worker that dies is replaced.

    Raises:
        MissingDependencyError: Ray is not installed.
    """
    try:
        import ray as cluster
    except ImportError as error:
        raise MissingDependencyError("`engine=\"ray\"` needs Ray: run `pip install 'edgekit[ray]'`") from error
    ours = not cluster.is_initialized()
    if ours:
        here = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers or cores(), "include_dashboard": False}
        cluster.init(log_to_driver=False, logging_level="error", **here)
    try:
        task = cluster.remote(max_retries=-1, num_cpus=1)(work_on)
        shared = cluster.put(pickle.dumps(subject))
        count = workers or int(cluster.cluster_resources().get("CPU", 1))
        running: dict[Any, int] = {}
        for number, items in parts:
            running[task.remote(shared, items)] = number
            if len(running) > count:
                yield from _finished(cluster, running)
        while running:
            yield from _finished(cluster, running)
    finally:
        if ours:
            cluster.shutdown()


def _finished(cluster: Any, running: dict[Any, int]) -> Results:
    for reference in cluster.wait(list(running), num_returns=1)[0]:
        part = cluster.get(reference)
        if isinstance(part, EdgeKitError):
            raise part
        yield running.pop(reference), part


ENGINES: dict[str, Engine] = {"local": local, "ray": ray}


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    _serve(sys.stdin.buffer, answers)
