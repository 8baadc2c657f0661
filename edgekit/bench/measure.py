"""Measure artifacts: the one way in, whatever measures."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.bench.drivers.base import Outcome
from edgekit.bench.drivers.host.driver import bench_host
from edgekit.bench.request import BenchRequest
from edgekit.support.progress import Reporter, Silent

__all__ = ["measure"]


def measure(request: BenchRequest, reporter: Reporter | None = None) -> Iterator[Outcome]:
    """Measure the artifacts on this machine, turn by turn; an outcome each, as they come."""
    for result in bench_host(request, reporter or Silent()):
        yield Outcome(result.label, result)
