"""The page of results of measurements: a table, accuracy against latency, and what a gate found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from edgekit.bench.parity.document import DeviceParity
from edgekit.bench.results.compare import Gate
from edgekit.bench.schema import Result
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

__all__ = ["ACCURACY", "LEAST", "TITLE", "labels_of", "page_of_results"]

TITLE, ACCURACY = "EdgeKit: latency", "Accuracy against latency"
LEAST = 1e-7  # the smallest difference from a cosine of 1 that is shown
_SPAN = 8.0  # the largest over the smallest latency from which its axis is logarithmic
_COLUMNS = (
    *(Column("model"), Column("format"), Column("on"), Column("p50", "number", "ms", 2)),
    Column("parity", "number", digits=5, about="cosine of the worst image to the original"),
    Column("parity there", "state", about="the same, of embeddings that this device gave"),
    Column("valid", "state"),
    *(Column(name, "number", "ms", 2) for name in ("p90", "p99", "first", "load")),
    Column("size", "number", "MB", 1),
    Column("memory", "number", "MB", 1, about="what the model added to the process"),
    Column("peak", "number", "MB", 1, about="memory of the whole process"),
)
_PARITIES = (
    *(Column("model"), Column("format"), Column("on"), Column("label"), Column("runtime"), Column("input")),
    *(Column("verdict", "state"), Column("images"), Column("min cosine", "number", digits=7), Column("worst image")),
    *(Column("mean cosine", "number", digits=7), Column("overlap", "number", digits=4)),
    Column("recall original", "number", digits=3, about="recall@10 of the original's embeddings among themselves"),
    Column("recall device", "number", digits=3, about="the same of the device's"),
    Column("recall mixed", "number", digits=3, about="queries of the device in the original's gallery"),
    Column("why"),
)
_DIFFERENCES = (
    *(Column("new"), Column("base"), Column("on"), Column("p50 new", "number", "ms", 2)),
    *(Column("p50 base", "number", "ms", 2), Column("ratio", "number", about="with its 95 % interval")),
    *(Column("verdict", "state"), Column("not the same")),
)


def labels_of(results: Sequence[Result]) -> list[str]:
    """What a plot calls each; with the time, where two would be called alike."""
    names = [f"{result.label[:50]}, {result.place[:40]}" for result in results]
    times = Counter(names)
    return [
        f"{name}, {result.started_utc}" if times[name] > 1 else name
        for name, result in zip(names, results, strict=True)
    ]


def page_of_results(
    results: Sequence[Result],
    pictures: Mapping[str, str],
    gate: Gate | None = None,
    parities: Sequence[DeviceParity] = (),
) -> Page:
    """The results as a document; `pictures` are the SVG of further plots, by their titles.

    Each result says beside its latency what parity found of the same file on the same device.
    """
    drawings: list[Section] = [*_scatter(results)]
    drawings += [Drawing(title, picture[picture.index("<svg") :]) for title, picture in pictures.items()]
    rows = [Row(_cells(result, parities), dim=not result.validity.valid) for result in results]
    tables = [Table("Results", _COLUMNS, rows)] if rows else []
    if parities:
        tables.append(Table("Parity on devices", _PARITIES, [Row(_cells_of_parity(one)) for one in parities]))
    if gate is None:
        return Page(TITLE, _verdict(results, parities), (), [*tables, *drawings])
    verdict = Verdict("Passed.", "good")
    if gate.error is not None:
        verdict = Verdict(f"{len(gate.failures)} of {gate.judged} fail.", "bad")
    return Page(TITLE, verdict, (), [*tables, *_comparison(gate), *drawings])


def _verdict(results: Sequence[Result], parities: Sequence[DeviceParity]) -> Verdict:
    """How many there are, which is the fastest of those that may be compared, and how many devices agree."""
    failed = sum(not one.passed for one in parities)
    agreed = f"parity on devices: {len(parities) - failed} of {len(parities)} passed" if parities else ""
    if not results:
        return Verdict(f"{agreed.capitalize()}.", "bad" if failed else "good")
    invalid = sum(not result.validity.valid for result in results)
    text = f"{len(results)} result{'s' * (len(results) > 1)}" + (f", {invalid} of them not valid" if invalid else "")
    timed = [(row.latency_ms.p50, n) for n, row in enumerate(results) if row.validity.valid and row.latency_ms.p50]
    if timed:
        p50, place = min(timed)
        text += f"; the fastest{' valid one' * bool(invalid)} is {labels_of(results)[place]}: {p50:.2f} ms"
    return Verdict(f"{'; '.join(filter(None, (text, agreed)))}.", "bad" if failed else "mixed" if invalid else "plain")


def _scatter(results: Sequence[Result]) -> Iterator[Scatter]:
    """Accuracy against latency, with the front of the results that are valid."""
    alone = len({result.place for result in results}) == 1
    found = [
        (
            result,
            label.replace(f", {result.place[:40]}", "", 1) if alone else label,
            result.latency_ms.p50,
            max(1 - result.model.parity_min_cosine, LEAST),
        )
        for result, label in zip(results, labels_of(results), strict=True)
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
    yield Scatter(ACCURACY, *axes, points, note, grey="not valid")


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


def _agreement(result: Result, parities: Sequence[DeviceParity]) -> Mark | None:
    """What the latest parity of a result's file on its device and processors found."""
    key = (result.model.sha256, result.device.label, result.device.serial_sha256, result.runtime.backend)
    found = [
        one
        for one in parities
        if (one.model.sha256, one.device.label, one.device.serial_sha256, one.runtime.backend) == key
    ]
    if not found:
        return None
    latest = max(found, key=lambda one: one.started_utc)
    cosine = latest.report.min_cosine
    said = latest.verdict if cosine is None else f"{latest.verdict} {cosine:.5f}"
    return Mark(said, "good" if latest.passed else "bad")


def _cells_of_parity(one: DeviceParity) -> list[Cell]:
    report, model, retrieval = one.report, one.model, one.report.retrieval
    sides = (None, None, None) if retrieval is None else (retrieval.original, retrieval.artifact, retrieval.mixed)
    recall = [None if side is None else side.at_10 for side in sides]
    why = "; ".join((*report.reasons, *one.errors)) or None
    return [
        *(model.name, model.kind, one.place, one.label, one.ran, one.mode),
        *(Mark(one.verdict, "good" if one.passed else "bad"), one.count, report.min_cosine, report.worst_image),
        *(report.mean_cosine, report.neighbour_overlap, *recall, why),
    ]


def _cells(result: Result, parities: Sequence[DeviceParity]) -> list[Cell]:
    model, latency, memory = result.model, result.latency_ms, result.memory_bytes
    times = (latency.p90, latency.p99, latency.first, latency.cold_load)
    sizes = [None if size is None else size / 1e6 for size in (memory.loaded, memory.peak_rss)]
    valid = Mark(result.validity.line, "good" if result.validity.valid else "bad")
    names = (model.name, model.kind, result.place)
    agreement = (latency.p50, model.parity_min_cosine, _agreement(result, parities))
    return [*names, *agreement, valid, *times, model.bytes / 1e6, *sizes]
