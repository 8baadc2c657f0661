"""What a run of several processes says when one of them is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgekit.errors import TrainingError
from edgekit.support.text import reason_of

__all__ = ["expect_lost_processes"]

# torch.distributed raises a plain RuntimeError with the backend's words.
_LOST = ("Connection closed", "Connection reset", "NCCL", "Gloo", "gloo", "Broken pipe")


@contextmanager
def expect_lost_processes(count: int) -> Iterator[None]:
    """In a run of `count` processes, whatever step notices that another one is gone says so in one line.

    Raises:
        TrainingError: a collective operation failed because another process is gone.
    """
    try:
        yield
    except RuntimeError as error:
        if count < 2 or not any(word in str(error) for word in _LOST):
            raise
        raise TrainingError(
            f"another process of this run is gone ({reason_of(error, 160)}); start all again with `resume=True`"
        ) from error
