"""A result's latency: all that follows from its samples."""

from __future__ import annotations

from edgekit.bench.schema import Latency
from edgekit.metrics.statistics import drift_of, summary_of

__all__ = ["drift", "summarize", "summarize_measured"]

_MEASURED = ("cold_load", "warm_load", "compile", "first", "samples")


def summarize(latency: Latency) -> Latency:
    """The same latency with all that follows from its samples; nothing does where there are none."""
    return latency.model_copy(update=summary_of(latency.samples)) if latency.samples else latency


def summarize_measured(latency: Latency) -> Latency:
    """The summary of what a device measured: the figures that it gives of its own samples are not taken over."""
    return summarize(Latency(**{name: getattr(latency, name) for name in _MEASURED}))


def drift(latency: Latency) -> float | None:
    """By what share the last tenth of the samples is slower than the first; None where that is not known."""
    return drift_of(latency.first_decile_p50, latency.last_decile_p50)
