"""Results and differences as cells of a table: what the terminal and the report's page share."""

from __future__ import annotations

from edgekit.bench.results.compare import Difference
from edgekit.bench.schema import Result
from edgekit.support.text import human_size

__all__ = ["DIFFERENCE", "RESULT", "difference_cells", "result_cells"]

RESULT = ("model", "format", "on", "size", "load ms", "first ms", "p50 ms", "p90 ms", "p99 ms", "memory")
DIFFERENCE = ("new", "base", "on", "p50 new", "p50 base", "ratio", "95 % interval", "verdict", "not the same")


def result_cells(result: Result) -> tuple[str, ...]:
    """The cells below RESULT."""
    model, latency = result.model, result.latency_ms
    times = (latency.cold_load, latency.first, latency.p50, latency.p90, latency.p99)
    size, memory = human_size(model.bytes), result.memory_bytes.told
    return (model.name, model.kind, result.place, size, *map(_milliseconds, times), memory)


def difference_cells(difference: Difference) -> tuple[str, ...]:
    """The cells below DIFFERENCE."""
    new, base, ratio = difference.new, difference.base, difference.ratio
    return (
        new.label,
        base.label,
        new.place,
        _milliseconds(new.latency_ms.p50),
        _milliseconds(base.latency_ms.p50),
        f"{ratio.value:.3f}",
        f"{ratio.low:.3f} to {ratio.high:.3f}",
        difference.verdict,
        ", ".join(difference.unlike) or "-",
    )


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
