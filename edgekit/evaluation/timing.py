"""How fast an artifact is: by results that were measured before, on devices or hosts; else measured on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgekit.bench.measure import measure
from edgekit.bench.request import BenchRequest
from edgekit.bench.results.store import save
from edgekit.bench.schema import Result
from edgekit.errors import EdgeKitError
from edgekit.evaluation.compare_report import Value
from edgekit.support.progress import Reporter

__all__ = ["TIMES", "Timed", "pick", "time_here"]

# The names of the figures, in the order of a table.
TIMES = ("latency_ms", "latency_p90_ms", "memory_mb", "images_per_second")
_HOST = "host"
_ROUNDS = 30  # samples of each artifact, at least


@dataclass(frozen=True)
class Timed:
    """The result that speaks for a user's device, and the one that speaks for a server; either may be missing."""

    device: Result | None
    host: Result | None

    def figures(self) -> dict[str, Value]:
        """The figures of `TIMES`: of the device where there is one, and throughput of the host alone."""
        found: dict[str, Value] = {}
        shown = self.device or self.host
        if shown is not None:
            how = _how(shown)
            for name, key in (("latency_ms", "p50"), ("latency_p90_ms", "p90")):
                value = getattr(shown.latency_ms, key)
                samples = len(shown.latency_ms.samples)
                found[name] = _value(shown, value, f"{key} of {samples} inferences, {how}")
            memory = shown.memory_bytes.phys_footprint_peak or shown.memory_bytes.peak_rss
            if memory:
                found["memory_mb"] = _value(shown, memory / 1e6, f"peak of a fresh process, {how}")
        if self.host is not None and self.host.latency_ms.mean:
            threads = self.host.runtime.threads or 1
            value = 1000 / self.host.latency_ms.mean / threads
            how = f"one over the mean latency{'' if threads == 1 else f', over {threads} threads'}, {_how(self.host)}"
            found["images_per_second"] = _value(self.host, value, how)
        return found


def pick(results: Iterable[Result], sha256: str) -> Timed:
    """Of an artifact's results the latest that are valid; where none is, the latest, which says so."""
    own = [row for row in results if row.model.sha256 == sha256 and row.latency_ms.p50 is not None]
    host, device = (
        max(rows, key=lambda row: (row.validity.valid, row.started), default=None)
        for rows in (
            [row for row in own if row.tool.runner == _HOST],
            [row for row in own if row.tool.runner != _HOST],
        )
    )
    return Timed(device, host)


def time_here(paths: Sequence[Path], seconds: float, keep: Path, reporter: Reporter) -> tuple[list[Result], list[str]]:
    """Measure artifacts on this machine, turn by turn, and keep the results in a folder; and why some have none.

    Raises:
        OutputError: the results cannot be written.
    """
    results: list[Result] = []
    try:
        request = BenchRequest(artifacts=paths, on=_HOST, min_iterations=_ROUNDS, min_duration_s=seconds)
        outcomes = list(measure(request, reporter))
    except EdgeKitError as error:
        if len(paths) == 1:
            return [], [f"{paths[0].parent.name} could not be timed here: {error}"]
        halves = (paths[: len(paths) // 2], paths[len(paths) // 2 :])  # one of them is to blame
        found = [time_here(half, seconds, keep, reporter) for half in halves]
        return [row for rows, _ in found for row in rows], [line for _, lines in found for line in lines]
    results = [row.result for row in outcomes if row.result is not None]
    save(results, keep)
    return results, [str(row.error) for row in outcomes if row.error is not None]


def _place(result: Result) -> Literal["host", "device", "emulated device"]:
    if result.tool.runner == _HOST:
        return "host"
    return "emulated device" if result.device.emulated else "device"


def _value(result: Result, value: float, how: str) -> Value:
    return Value(value=value, how=how, measured=_place(result), doubts=list(result.validity.reasons))


def _how(result: Result) -> str:
    kind = _place(result)
    invalid = "" if result.validity.valid else f"; not to be compared: {', '.join(result.validity.reasons)}"
    load = result.state.before.load
    busy = "" if load is None else f", load {load:.1f} before"
    return f"measured on the {kind} {result.place}{busy}{invalid}"
