"""Results as one page that opens anywhere, with its plots inside, and as tables and plots beside it."""

from __future__ import annotations

import csv
import io
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.bench.results.compare import Gate
from edgekit.bench.results.store import make_folder
from edgekit.bench.schema import Result
from edgekit.errors import OutputError
from edgekit.report.document import (
    Axis,
    Cell,
    Column,
    Drawing,
    Interval,
    Mark,
    Page,
    Point,
    Row,
    Scatter,
    Section,
    Table,
    Verdict,
)
from edgekit.report.write import write_page
from edgekit.support.files import write_atomically
from edgekit.support.plots import COLOURS, figure_of

__all__ = ["write_report"]

_PAGE, _TITLE = "report.html", "EdgeKit: latency"
_WINDOW = 50  # points of a drift curve
_ACCURACY, _LEAST, _SPAN = (
    "accuracy",
    1e-7,
    8.0,
)  # the smallest difference shown; the span from which an axis is logarithmic
_COLUMNS = (
    *(Column("model"), Column("format"), Column("on"), Column("p50", "number", "ms", 2)),
    Column("parity", "number", digits=5, about="cosine of the worst image to the original"),
    Column("valid", "state"),
    *(Column(name, "number", "ms", 2) for name in ("p90", "p99", "first", "load")),
    Column("size", "number", "MB", 1),
    Column("memory", "number", "MB", 1, about="what the model added to the process"),
    Column("peak", "number", "MB", 1, about="memory of the whole process"),
)
_DIFFERENCES = (
    *(Column("new"), Column("base"), Column("on"), Column("p50 new", "number", "ms", 2)),
    *(Column("p50 base", "number", "ms", 2), Column("ratio", "number", about="with its 95 % interval")),
    *(Column("verdict", "state"), Column("not the same")),
)
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
    files, pictures = dict[str, bytes](), {}
    for name, plot in _PLOTS.items():
        figure = plot.figure(results)
        files |= {f"{name}.{kind}": _rendered(figure, kind) for kind in ("svg", "png")}
        if name != _ACCURACY:  # which the page has as points that say their figures
            pictures[plot.title] = files[f"{name}.svg"].decode()
    files["results.csv"] = _csv(results).encode()
    if (parquet := _parquet(results)) is not None:
        files["results.parquet"] = parquet
    write_page(_page(results, pictures, gate), out / _PAGE)
    for name, data in files.items():
        write_atomically(out / name, data)
    return [out / name for name in (_PAGE, *files)]


def _refuse_foreign(out: Path) -> None:
    """OutputError where a file that would be replaced is none of an earlier report."""
    plots = (f"{name}.{kind}" for name in _PLOTS for kind in ("svg", "png"))
    there = [out / name for name in (_PAGE, "results.csv", "results.parquet", *plots) if (out / name).exists()]
    with suppress(OSError), (out / _PAGE).open("rb") as file:
        if f"<title>{_TITLE}</title>".encode() in file.read(4096):
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
        (label, result.latency_ms.p50, max(1 - result.model.parity_min_cosine, _LEAST))
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
    _ACCURACY: _Plot(
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


def _page(results: Sequence[Result], pictures: dict[str, str], gate: Gate | None) -> Page:
    drawings: list[Section] = [*_scatter(results)]
    drawings += [Drawing(title, picture[picture.index("<svg") :]) for title, picture in pictures.items()]
    table = Table("Results", _COLUMNS, [Row(_cells(result), dim=not result.validity.valid) for result in results])
    if gate is None:
        invalid = sum(not result.validity.valid for result in results)
        told = f", {invalid} of them not valid" if invalid else ""
        return Page(
            _TITLE, Verdict(f"{len(results)} results{told}.", "mixed" if invalid else "plain"), (), [table, *drawings]
        )
    verdict = Verdict("Passed.", "good")
    if gate.error is not None:
        verdict = Verdict(f"{len(gate.failures)} of {gate.judged} fail.", "bad")
    return Page(_TITLE, verdict, (), [table, *_comparison(gate), *drawings])


def _scatter(results: Sequence[Result]) -> Iterator[Scatter]:
    """Accuracy against latency, with the front of the results that are valid."""
    alone = len({result.place for result in results}) == 1
    found = [
        (
            result,
            label.replace(f", {result.place[:40]}", "", 1) if alone else label,
            result.latency_ms.p50,
            max(1 - result.model.parity_min_cosine, _LEAST),
        )
        for result, label in zip(results, _labels(results), strict=True)
        if result.latency_ms.p50 and result.model.parity_min_cosine is not None
    ]
    if len(found) < 2:
        return
    valid = [(x, y) for result, _, x, y in found if result.validity.valid]
    points = [
        Point(
            label,
            x,
            y,
            result.model.name,
            front=result.validity.valid and not any(p <= x and q <= y and (p, q) != (x, y) for p, q in valid),
            dim=not result.validity.valid,
            detail=f"{result.model.kind}, on {result.place}, valid: {result.validity.line}",
        )
        for result, label, x, y in found
    ]
    times = [x for _, _, x, _ in found]
    wide = max(times) / min(times) >= _SPAN
    axes = (
        Axis("p50", "ms", 2, log=wide, better="low"),
        Axis("1 - cosine of the worst image to the original", digits=7, log=True, better="low"),
    )
    left = len(results) - len(found)
    note = f"{left} results without a parity or a latency are not in it." if left else ""
    yield Scatter(_PLOTS[_ACCURACY].title, *axes, points, note, grey="not valid")


def _comparison(gate: Gate) -> list[Section]:
    closed = {id(result) for result, _ in gate.failures}
    rows = []
    for row in gate.differences:
        p50s = (row.new.latency_ms.p50, row.base.latency_ms.p50)
        ratio, mark = row.ratio, Mark(row.verdict, "bad" if id(row.new) in closed else "good")
        names, unlike = (row.new.label, row.base.label, row.new.place), ", ".join(row.unlike) or None
        rows.append(Row((*names, *p50s, Interval(ratio.value, ratio.low, ratio.high), mark, unlike)))
    failures = [Row((result.where, reason)) for result, reasons in gate.failures for reason in reasons]
    reasons = [Table("Why it fails", [Column("result"), Column("reason")], failures)] if failures else []
    return [*reasons, Table("Compared with the baseline", _DIFFERENCES, rows)]


def _cells(result: Result) -> list[Cell]:
    model, latency, memory = result.model, result.latency_ms, result.memory_bytes
    times = (latency.p90, latency.p99, latency.first, latency.cold_load)
    sizes = [None if size is None else size / 1e6 for size in (memory.loaded, memory.peak_rss)]
    valid = Mark(result.validity.line, "good" if result.validity.valid else "bad")
    names = (model.name, model.kind, result.place)
    return [*names, latency.p50, model.parity_min_cosine, valid, *times, model.bytes / 1e6, *sizes]
