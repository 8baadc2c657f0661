"""The time that a job of several stages still takes, by a clock that the test turns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgekit.quantization.left import TimeLeft
from edgekit.support.progress import Silent, Tick


class Heard(Silent):
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.lines: list[str] = []

    @contextmanager
    def stage(self, title: str) -> Iterator[Tick]:
        yield lambda done, total, text="": self.texts.append(text)

    def progress(self, line: str) -> None:
        self.lines.append(line)


def test_what_is_left_counts_all_stages_from_the_first() -> None:
    now, heard = [0.0], Heard()
    reporter = TimeLeft(heard, [100.0, 300.0], lambda: now[0])
    with reporter.stage("one") as tick:
        tick(1, 100)
        now[0] = 10.0
        tick(50, 100)  # 49 of 400 in 10 seconds: the first paid for what is made once
        now[0] = 20.0
    with reporter.stage("two") as tick:
        tick(0, 30)
        now[0] = 65.0
        tick(30, 30)
    with reporter.stage("not foreseen") as tick:
        tick(1, 2)
    assert heard.texts == [
        "",
        "about 71 s left in all",
        "about 61 s left in all",
        "about 1 s left in all",
        "about 1 s left in all",
    ]


def test_a_log_is_told_early_and_then_now_and_again() -> None:
    now, heard = [0.0], Heard()
    reporter = TimeLeft(heard, [1000.0], lambda: now[0])
    with reporter.stage("one") as tick:
        for second in range(100):
            now[0] = float(second)
            tick(second, 1000)
    assert len(heard.lines) == 4  # after 2, 32, 62 and 92 seconds
    assert heard.lines[0] == "about 17 min left in all"
