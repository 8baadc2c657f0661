"""What plots share: a figure without a display, colours that everyone can tell apart, and the same bytes each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekit.errors import MissingDependencyError, OutputError
from edgekit.support.files import write_atomically
from edgekit.support.text import reason_of

__all__ = ["COLOURS", "figure_of", "save"]

# Okabe and Ito, "Color Universal Design", 2008, without yellow (too faint on white).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DPI = 150


def figure_of(width: float, height: float) -> Any:
    """An empty figure of that many inches.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("plotting needs matplotlib: run `pip install 'edgekit[distill]'`") from error
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, out: Path) -> None:
    """Write the figure as PNG to `out`, all of it or nothing.

    Raises:
        OutputError: `out` cannot be written.
    """
    try:
        write_atomically(out, lambda part: figure.savefig(part, format="png", dpi=_DPI, metadata={"Software": None}))
    except OutputError as error:
        raise OutputError(f"{out}: the plot cannot be written ({reason_of(error.__cause__ or error)})") from error
