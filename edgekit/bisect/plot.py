"""Error over depth, as a picture."""

from __future__ import annotations

from pathlib import Path

from edgekit.bisect.report import BisectReport
from edgekit.support.plots import COLOURS, figure_of, save

__all__ = ["draw"]

_FLOOR = 1e-9  # of a logarithmic axis


def draw(report: BisectReport, out: Path) -> None:
    """Write a PNG: of each tensor its distance from the program's (1 - cosine), and the error of its step alone.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        OutputError: `out` cannot be written.
    """
    figure = figure_of(8, 4)
    axes = figure.subplots()
    carried = [(step.depth, max(_FLOOR, 1 - step.cosine)) for step in report.steps if step.cosine is not None]
    own = [(step.depth, max(_FLOOR, step.own_error)) for step in report.steps if step.own_error is not None]
    for points, colour, label in ((carried, COLOURS[0], "1 - cosine with the program"), (own, COLOURS[2], "own error")):
        axes.plot(*zip(*points, strict=True), ".", ms=3, color=colour, label=label) if points else None
    axes.axhline(report.allowed, color=COLOURS[6], lw=0.8, ls=":", label="own error that rounding explains")
    if report.first is not None:
        axes.axvline(report.first.depth, color=COLOURS[1], lw=1, label=f"first jump: {report.first.module}")
    axes.set(yscale="log", xlabel="depth (call of the program)", ylabel="error")
    axes.set_title(f"{report.model}, {report.format} {report.precision}, {report.image}"[:100], fontsize=9)
    axes.legend(fontsize=7, loc="best")
    save(figure, out)
