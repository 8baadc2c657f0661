"""Results as one page that opens anywhere, with its plots inside, and as tables and plots beside it."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.bench.parity.document import DeviceParity
from edgekit.bench.results.compare import Gate
from edgekit.bench.results.page import ACCURACY, LEAST, TITLE, labels_of, page_of_results
from edgekit.bench.results.store import make_folder
from edgekit.bench.schema import Result
from edgekit.errors import OutputError
from edgekit.report.write import write_page
from edgekit.support.files import write_atomically
from edgekit.support.plots import COLOURS, figure_of

__all__ = ["write_report"]

_PAGE = "report.html"
_WINDOW = 50  # points of a drift curve
_FIGURES = ("cold_load", "warm_load", "first", "min", "mean", "p50", "p90", "p95", "p99", "max")


def write_report(
    results: Sequence[Result], out: Path, gate: Gate | None = None, parities: Sequence[DeviceParity] = ()
) -> list[Path]:
    """Write report.html, a plot of each kind as SVG and PNG, results.csv, and results.parquet where pyarrow is
    installed, into `out`; returns the files. What a gate found, and parity on devices, is on the page too; without a
    result that is the only file.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        OutputError: `out` cannot be written.
    """
    _refuse_foreign(out)
    make_folder(out)
    files, pictures = dict[str, bytes](), {}
    for name, plot in _PLOTS.items() if results else ():
        figure = plot.figure(results)
        files |= {f"{name}.{kind}": _rendered(figure, kind) for kind in ("svg", "png")}
        if plot.title != ACCURACY:  # which the page has as points that say their figures
            pictures[plot.title] = files[f"{name}.svg"].decode()
    if results:
        files["results.csv"] = _csv(results).encode()
    if results and (parquet := _parquet(results)) is not None:
        files["results.parquet"] = parquet
    write_page(page_of_results(results, pictures, gate, parities), out / _PAGE)
    for name, data in files.items():
        write_atomically(out / name, data)
    return [out / name for name in (_PAGE, *files)]


def _refuse_foreign(out: Path) -> None:
    """OutputError where a file that would be replaced is none of an earlier report."""
    plots = (f"{name}.{kind}" for name in _PLOTS for kind in ("svg", "png"))
    there = [out / name for name in (_PAGE, "results.csv", "results.parquet", *plots) if (out / name).exists()]
    with suppress(OSError), (out / _PAGE).open("rb") as file:
        if f"<title>{TITLE}</title>".encode() in file.read(4096):
            return
    if there:
        why = "is not of an earlier report and would be replaced"
        raise OutputError(f"{there[0]}: {why}; give another `out`", field="out")


def _rendered(figure: Any, kind: str) -> bytes:
    import matplotlib

    stream = io.BytesIO()
    with (
        matplotlib.rc_context({"svg.hashsalt": "edgekit", "svg.fonttype": "none"}),
        warnings.catch_warnings(action="ignore", category=UserWarning),  # a name has letters that the font has not
    ):
        figure.savefig(stream, format=kind, dpi=120, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return stream.getvalue()


_Row = tuple[Result, str, str]  # a result, what a plot calls it, and its colour


@dataclass(frozen=True)
class _Plot:
    """A plot of all results: its title, what its axes show, and how it is drawn on them."""

    title: str
    x: str
    y: str
    draw: Callable[[Any, Sequence[_Row]], None]

    def figure(self, results: Sequence[Result]) -> Any:
        """The figure, with a legend where there is something to see."""
        figure = figure_of(9.0, 4.0)
        axes = figure.subplots()
        axes.set_xlabel(self.x)
        axes.set_ylabel(self.y)
        axes.spines[["top", "right"]].set_visible(False)
        self.draw(axes, list(zip(results, labels_of(results), cycle(COLOURS), strict=False)))
        if axes.get_legend_handles_labels()[0]:
            for text in axes.legend(frameon=False, fontsize=8).get_texts():
                text.set_parse_math(False)  # a dollar sign in a name is one
        return figure


def _distribution(axes: Any, rows: Sequence[_Row]) -> None:
    for result, label, colour in rows:
        samples = np.sort(result.latency_ms.samples)
        if len(samples):
            shares = (np.arange(len(samples)) + 1) / len(samples)
            axes.step(samples, shares, where="post", color=colour, label=label)


def _drift(axes: Any, rows: Sequence[_Row]) -> None:
    shares = (np.arange(_WINDOW) + 0.5) / _WINDOW
    for result, label, colour in rows:
        samples, first = np.asarray(result.latency_ms.samples), result.latency_ms.first_decile_p50
        if len(samples) >= _WINDOW and first:
            medians = [np.median(part) / first for part in np.array_split(samples, _WINDOW)]
            axes.plot(shares, medians, color=colour, label=label)
    axes.axhline(1.0, color="#666666", linewidth=0.8)


def _accuracy(axes: Any, rows: Sequence[_Row]) -> None:
    points = [
        (label, result.latency_ms.p50, max(1 - result.model.parity_min_cosine, LEAST))
        for result, label, _ in rows
        if result.latency_ms.p50 is not None and result.model.parity_min_cosine is not None
    ]
    best = np.inf
    front: list[tuple[float, float]] = []
    for _, x, y in sorted(points, key=itemgetter(1, 2)):
        if y < best:
            best = y
            front.append((x, y))
    if front:
        axes.step(*zip(*front, strict=True), where="post", color="#999999", linewidth=0.8)
        axes.set_yscale("log")
    for (label, x, y), colour in zip(points, cycle(COLOURS), strict=False):
        axes.plot(x, y, "o", color=colour, label=label)


_PLOTS = {
    "distribution": _Plot("Latency distribution", "milliseconds", "share of samples at most so slow", _distribution),
    "drift": _Plot("Latency over the run", "share of the run", "median over that of the run's first tenth", _drift),
    "accuracy": _Plot(ACCURACY, "p50, milliseconds", "1 - cosine of the worst image to the original", _accuracy),
}


def _rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """A flat row a result."""
    return [
        {
            **{"run_id": result.run_id, "started_utc": result.started_utc, "model": result.model.name},
            **_fields(result.model, "format", "sha256", "bytes", "precision", "parity_min_cosine"),
            **{"runner": result.tool.runner, "runtime": result.runtime.name},
            **_fields(result.runtime, "version", "backend", "threads"),
            **{"platform": result.device.platform, "device": result.device.model},
            **{**_fields(result.device, "soc", "os"), "samples": len(result.latency_ms.samples)},
            **_fields(result.latency_ms, *_FIGURES),
            **_fields(result.memory_bytes, "peak_rss", "loaded"),
            **{"valid": result.validity.valid, "reasons": " ".join(result.validity.reasons)},
        }
        for result in results
    ]


def _fields(part: object, *names: str) -> dict[str, Any]:
    return {name: getattr(part, name) for name in names}


def _csv(results: Sequence[Result]) -> str:
    stream = io.StringIO()
    rows = _rows(results)
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _plain(value) for key, value in row.items()} for row in rows)
    return stream.getvalue()


def _parquet(results: Sequence[Result]) -> bytes | None:
    """The same rows as Parquet, where pyarrow is installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return None
    stream = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(_rows(results)), stream)
    return stream.getvalue()


def _plain(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
