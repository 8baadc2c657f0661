"""Torch on one thread: figures repeat, and single images are not slowed down by threads that wait for each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["one_thread"]


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
