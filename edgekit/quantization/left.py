"""How long the whole of a job of several stages still takes, said from its start."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from edgekit.support.progress import Reporter, Tick

__all__ = ["TimeLeft"]

_SURE = 2.0  # seconds of work before anything is said
_EVERY = 30.0  # seconds between two lines of a log


class TimeLeft:
    """A reporter that says beside each stage's progress how long all stages together still take.

    Args:
        reporter: what shows it.
        work: of the stages to come, in their order, in any unit. A stage that is not among them counts as nothing.
        now: a clock in seconds.
    """

    def __init__(self, reporter: Reporter, work: Sequence[float], now: Callable[[], float] = time.perf_counter) -> None:
        self._reporter, self._work, self._now = reporter, list(work), now
        self.board, self.note, self.progress = reporter.board, reporter.note, reporter.progress
        self._whole, self._done = sum(work), 0.0
        self._from: tuple[float, float] | None = None  # the time and what was done then
        self._said = -_EVERY

    @contextmanager
    def stage(self, title: str) -> Iterator[Tick]:
        own = self._work.pop(0) if self._work else 0.0
        with self._reporter.stage(title) as tick:
            yield lambda done, total, text="": tick(done, total, text or self._left(own * done / max(total, 1)))
        self._done += own

    def _left(self, here: float) -> str:
        """What is left, once that much of the present stage's work is done.

        The first image does not count: it pays for what is made once.
        """
        now, done = self._now(), self._done + here
        if self._from is None:
            self._from = (now, done) if done > 0 else None
            return ""
        since, fresh = now - self._from[0], done - self._from[1]
        if since < _SURE or fresh <= 0:
            return ""
        left = f"about {_spoken(since * (self._whole - done) / fresh)} left in all"
        if since - self._said >= _EVERY:
            self._said = since
            self.progress(left)
        return left


def _spoken(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"
