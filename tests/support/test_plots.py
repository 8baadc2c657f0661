"""A plot is the same file each time, and one that cannot be written is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import OutputError
from edgekit.support.plots import COLOURS, figure_of, save


def line() -> object:
    figure = figure_of(3, 2)
    axes = figure.subplots()
    for number, colour in enumerate(COLOURS):
        axes.plot([0, 1], [number, number + 1], color=colour)
    return figure


def test_a_plot_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("first.png", "second.png"):
        save(line(), tmp_path / name)
    first = (tmp_path / "first.png").read_bytes()
    assert first.startswith(b"\x89PNG") and first == (tmp_path / "second.png").read_bytes()
    assert int.from_bytes(first[16:20], "big") == 450  # pixels of 3 inches


def test_a_plot_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"missing/plot\.png: the plot cannot be written \(.*No such file"):
        save(line(), tmp_path / "missing" / "plot.png")
    assert not list(tmp_path.iterdir())
