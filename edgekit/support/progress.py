"""What a person sees: the live list of stages on stderr, and the closing table on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from edgekit.support.text import shown

__all__ = ["DONE", "Reporter", "Silent", "Stages", "Tick", "table"]

DONE = "done"  # what a board is told of a thing that needs no row any more


class Tick(Protocol):
    """Says how far a stage is, and in `text` what there is to see of it right now."""

    def __call__(self, done: int, total: int, text: str = "", /) -> None: ...


class Reporter(Protocol):
    """How a long job says where it is."""

    def stage(self, title: str) -> AbstractContextManager[Tick]:
        """Say that a stage began; what it yields tells how far it got."""

    def board(self, title: str) -> AbstractContextManager[Callable[[str, str], None]]:
        """Things that go on at once: what it yields is told the name of one, and what happens to it now."""

    def note(self, line: str) -> None:
        """Say something that the user should not miss."""

    def progress(self, line: str) -> None:
        """Say how a long stage goes, where there is no live line to show it."""


def _ignore(_done: int, _total: int, _text: str = "", /) -> None:
    pass


class Silent:
    """Shows no stages; warnings still go to stderr."""

    @contextmanager
    def stage(self, title: str) -> Iterator[Tick]:
        yield _ignore

    @contextmanager
    def board(self, title: str) -> Iterator[Callable[[str, str], None]]:
        yield lambda name, text: None

    def note(self, line: str) -> None:
        print(f"warning: {line}", file=sys.stderr)

    def progress(self, line: str) -> None:
        pass


class Stages:
    """One line a stage on stderr: spinner and time left while it runs, its seconds when it is done."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(file=sys.stderr, highlight=False)  # not what a silenced toolchain puts in its place

    @contextmanager
    def stage(self, title: str) -> Iterator[Tick]:
        started = time.perf_counter()
        with self._live(title) if self._console.is_interactive else nullcontext(_ignore) as tick:
            yield tick
        self._console.print(f"[green]✓[/] {title} [dim]{time.perf_counter() - started:.1f} s[/]")

    @contextmanager
    def _live(self, title: str) -> Iterator[Tick]:
        from rich import progress as rich

        columns = (
            rich.SpinnerColumn(),
            rich.TextColumn("{task.description}"),
            rich.BarColumn(bar_width=20),
            rich.MofNCompleteColumn(),
            rich.TimeElapsedColumn(),
            rich.TimeRemainingColumn(),
            rich.TextColumn("[dim]{task.fields[text]}"),
        )
        with rich.Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(title, total=None, text="")
            yield lambda done, total, text="": progress.update(task, completed=done, total=total, text=text)

    @contextmanager
    def board(self, title: str) -> Iterator[Callable[[str, str], None]]:
        """A live row each with its seconds, and how many are done; in a log, each step is a line."""
        from rich.live import Live
        from rich.table import Table
        from rich.text import Text

        started = time.perf_counter()
        steps: dict[str, tuple[str, float]] = {}

        def look() -> Table:
            now = time.perf_counter()
            grid = Table("", "now", "seconds", title=f"{title} ({now - started:.0f} s)", title_justify="left", box=None)
            for name, (text, since) in sorted(list(steps.items())):
                if text != DONE:
                    grid.add_row(Text(name), Text(text, overflow="ellipsis", no_wrap=True), f"{now - since:.0f}")
            done = sum(text == DONE for text, _ in list(steps.values()))
            grid.caption = f"{done} of {len(steps)} done"
            return grid

        def say(name: str, text: str) -> None:
            steps[name] = (text, time.perf_counter())
            self.progress(f"{name}: {text}")

        live = Live(get_renderable=look, console=self._console, transient=True, refresh_per_second=4)
        with live if self._console.is_interactive else nullcontext():
            yield say
        self._console.print(f"[green]✓[/] {title} [dim]{time.perf_counter() - started:.1f} s[/]")

    def note(self, line: str) -> None:
        from rich.text import Text

        self._console.print(Text.assemble(("!", "yellow"), f" {line}"), soft_wrap=True)

    def progress(self, line: str) -> None:
        if not self._console.is_interactive:
            from rich.text import Text

            self._console.print(Text(f"  {line}", style="dim"), soft_wrap=True)


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[str] = (),
    spare: Sequence[str] = (),
    dim: Sequence[int] = (),
) -> None:
    """Print a table on stdout; columns named in `right` are set flush right, and rows numbered in `dim` are grey.

    Where a terminal is too narrow for all, those in `spare` are left out one after the other, and named below it.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names = [shown(name, None) for name in columns]  # columns of a file from outside are called as they are
    rows = [["\n".join(shown(line, None) for line in cell.split("\n")) for cell in row] for row in rows]
    kept = list(range(len(columns)))
    console = Console()
    if not sys.stdout.isatty():  # a pipe has no width of its own
        console = Console(width=max(140, _width(columns, rows, kept) if spare else 0))
    left = [columns.index(name) for name in spare]
    while left and _width(columns, rows, kept) > console.width:
        kept.remove(left.pop(0))
    grid = Table(title=Text(shown(title, None)), title_justify="left", title_style="bold", caption_justify="left")
    if missing := [name for number, name in enumerate(names) if number not in kept]:
        grid.caption = Text(f"no room for {', '.join(missing)}; the JSON has all")
    for number in kept:
        grid.add_column(Text(names[number]), justify="right" if columns[number] in right else "left", overflow="fold")
    for place, row in enumerate(rows):
        grid.add_row(*(Text(row[number]) for number in kept), style="dim" if place in dim else None)
    console.print(grid)


def _width(columns: Sequence[str], rows: Sequence[Sequence[str]], shown: Sequence[int]) -> int:
    """Terminal cells that a table takes in which nothing is folded."""
    from rich.cells import cell_len

    lines = ([line for row in (columns, *rows) for line in row[number].split("\n")] for number in shown)
    return 1 + sum(3 + max(map(cell_len, own)) for own in lines)
