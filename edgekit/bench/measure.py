"""Measure artifacts on this machine or on devices: the one way in, whatever measures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext

from edgekit.bench.drivers import table
from edgekit.bench.drivers.base import Driver, Outcome, require_formats, run
from edgekit.bench.drivers.runner import on_devices
from edgekit.bench.request import BenchRequest
from edgekit.errors import EdgeKitError
from edgekit.support.progress import Reporter, Silent

__all__ = ["measure"]


def measure(request: BenchRequest, reporter: Reporter | None = None) -> Iterator[Outcome]:
    """Measure the latency of artifacts, and compare every embedding with the file's own.

    On this machine all artifacts take turns. On devices they are measured one after the other, each on all chosen
    devices at once; an artifact that fails altogether is an outcome, too, unless it is the first.

    Args:
        request: what to measure, where, and how long.
        reporter: is told what happens; None for nobody.

    Returns:
        The outcomes as they come, with a result or an error each. Devices are chosen before this returns, and restored
        before an outcome comes.

    Raises:
        UsageError: the request names no driver, gives a field or a format that it does not take, or lacks a field that
            it needs, or no device is chosen.
        EdgeKitError: the first artifact cannot be opened, or a program that reaches the devices is not installed.
    """
    reporter = reporter or Silent()
    row = table.find(request)
    if row.formats is not None:
        require_formats(request, row.formats, f"{row.key} takes")
    driver = row.make(request, reporter)
    return _outcomes(row, driver, run(driver.choose()), request, reporter)


def _outcomes(
    row: table.Row, driver: Driver[object], serials: Sequence[str], request: BenchRequest, reporter: Reporter
) -> Iterator[Outcome]:
    batches = [list(request.artifacts)] if row.in_turns else [[path] for path in request.artifacts]
    for number, batch in enumerate(batches):
        title = f"measure {batch[0].name} on devices"
        try:
            with (
                driver.prepare(batch) as job,
                nullcontext(lambda serial, step: None) if row.in_turns else reporter.board(title) as say,
            ):
                outcomes = run(on_devices(driver, job, serials, say))
        except EdgeKitError as error:
            if number == 0:
                raise
            outcomes = [Outcome(batch[0].name, error=error)]
        yield from outcomes
