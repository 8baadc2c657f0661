"""Torch on one thread: figures repeat, and single images are not slowed down by threads that wait for each other."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["cores", "in_turn", "one_thread"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_MOST = 8  # at once: each holds the activations of an image


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread for a while.

    Sums then have one order on every machine, so that two exports agree to the last digit of a figure; and where
    another process holds a core, a second thread makes a batch of one wait many times longer than it saves.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_turn(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Generator[_Result, None, None]:
    """What `function` makes of each item, in the order of `items`, several at once: on each core that this process may
    use, torch on one thread, so that every result is what it would be alone.

    Nothing more is begun once the iterator is closed.
    """
    import torch

    most = min(_MOST, cores())
    running: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(most, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for item in items:
                running.append(pool.submit(function, item))
                if len(running) == most:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
