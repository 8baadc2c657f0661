"""Results as one page that opens anywhere, with its plots inside, and as tables and plots beside it."""

from __future__ import annotations

import csv
import html
import io
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.bench.results.compare import DIFFERENCE, RESULT, Gate, result_cells
from edgekit.bench.results.store import make_folder
from edgekit.bench.schema import Result
from edgekit.errors import OutputError
from edgekit.support.files import write_atomically
from edgekit.support.plots import COLOURS, figure_of

__all__ = ["write_report"]

_PAGE, _TITLE = "report.html", "<title>EdgeKit: latency</title>"
_WINDOW = 50  # points of a drift curve
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.no { color: #a00; } .wide { overflow-x: auto; } figure { margin: 1rem 0; } svg { max-width: 100%; height: auto; }
"""
_COLUMNS = (*RESULT, "parity", "valid")
_FIGURES = ("cold_load", "warm_load", "first", "min", "mean", "p50", "p90", "p95", "p99", "max")


def write_report(results: Sequence[Result], out: Path, gate: Gate | None = None) -> list[Path]:
    """Write report.html, a plot of each kind as SVG and PNG, results.csv, and results.parquet where pyarrow is
    installed, into `out`; returns the files. There must be a result. What a gate found is on the page too.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        OutputError: `out` cannot be written.
    """
    _refuse_foreign(out)
    make_folder(out)
    files, pictures = {_PAGE: b""}, {}
    for name, plot in _PLOTS.items():
        figure = plot.figure(results)
        files |= {f"{name}.{kind}": _rendered(figure, kind) for kind in ("svg", "png")}
        pictures[plot.title] = files[f"{name}.svg"].decode()
    files["results.csv"] = _csv(results).encode()
    if (parquet := _parquet(results)) is not None:
        files["results.parquet"] = parquet
    files[_PAGE] = _page(results, pictures, gate).encode()
    for name, data in files.items():
        write_atomically(out / name, data)
    return [out / name for name in files]


def _refuse_foreign(out: Path) -> None:
    """OutputError where a file that would be replaced is none of an earlier report."""
    plots = (f"{name}.{kind}" for name in _PLOTS for kind in ("svg", "png"))
    there = [out / name for name in (_PAGE, "results.csv", "results.parquet", *plots) if (out / name).exists()]
    with suppress(OSError), (out / _PAGE).open("rb") as file:
        if _TITLE.encode() in file.read(4096):
            return
    if there:
        why = "is not of an earlier report and would be replaced"
        raise OutputError(f"{there[0]}: {why}; give another `out`", field="out")


def _labels(results: Sequence[Result]) -> list[str]:
    """What a plot calls each; with the time, where two would be called alike."""
    names = [f"{result.label[:50]}, {result.place[:40]}" for result in results]
    times = Counter(names)
    return [
        f"{name}, {result.started_utc}" if times[name] > 1 else name
        for name, result in zip(names, results, strict=True)
    ]


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
        self.draw(axes, list(zip(results, _labels(results), cycle(COLOURS), strict=False)))
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
        (label, result.latency_ms.p50, max(1 - result.model.parity_min_cosine, 1e-7))
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
    "accuracy": _Plot(
        "Accuracy against latency", "p50, milliseconds", "1 - cosine of the worst image to the original", _accuracy
    ),
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


def _page(results: Sequence[Result], pictures: dict[str, str], gate: Gate | None) -> str:
    plots = "".join(
        f"<h2>{title}</h2>\n<figure>{picture[picture.index('<svg') :]}</figure>\n"
        for title, picture in pictures.items()
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n{_TITLE}\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>Latency</h1>\n<p>{len(results)} results.</p>\n"
        f"{_table(_COLUMNS, ((_cells(result), result.validity.valid) for result in results))}"
        f"{'' if gate is None else _comparison(gate)}{plots}</body>\n</html>\n"
    )


def _comparison(gate: Gate) -> str:
    closed = {id(result) for result, _ in gate.failures}
    rows = ((row.cells, id(row.new) not in closed) for row in gate.differences)
    reasons = "".join(
        f'<li class="no">{html.escape(f"{result.where}: {reason}")}</li>'
        for result, own in gate.failures
        for reason in own
    )
    verdict = "Passed." if gate.error is None else f"{len(gate.failures)} of {gate.judged} fail."
    return f"<h2>Compared with the baseline</h2>\n<p>{verdict}</p>\n<ul>{reasons}</ul>\n{_table(DIFFERENCE, rows)}"


def _table(columns: Sequence[str], rows: Iterable[tuple[Sequence[str], bool]]) -> str:
    """Rows of cells, in red those that are not well."""
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    marks = {True: "", False: ' class="no"'}
    body = "".join(
        f"<tr{marks[well]}>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>\n" for cells, well in rows
    )
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody>\n</table></div>\n'


def _cells(result: Result) -> list[str]:
    parity = result.model.parity_min_cosine
    return [*result_cells(result), "-" if parity is None else f"{parity:.5f}", result.validity.line]
