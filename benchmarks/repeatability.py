"""How well a ratio of two artifacts' latencies repeats: measured turn by turn, and one after the other.

Exports one model to ONNX and ExecuTorch, measures both ways in turn, several times, and prints the spread of the ratio
of their medians: largest less smallest, over the median.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from edgekit import pipeline
from edgekit.bench.host import bench_host
from edgekit.bench.request import BenchRequest
from edgekit.console import Silent, table
from edgekit.recipe import resolve_model
from edgekit.targets import select

WAYS = ("turn by turn", "one after the other")


def ratio(artifacts: Sequence[Path], way: str, seconds: float) -> float:
    """p50 of the second artifact over p50 of the first."""
    groups = [list(artifacts)] if way == WAYS[0] else [[path] for path in artifacts]
    medians = []
    for group in groups:
        request = BenchRequest(artifacts=group, min_duration_s=seconds, min_iterations=100)
        medians += [result.latency_ms.p50 for result in bench_host(request, Silent())]
    assert medians[0] is not None
    assert medians[1] is not None
    return medians[1] / medians[0]


def spread(values: Sequence[float]) -> float:
    return (max(values) - min(values)) / statistics.median(values)


@click.command(help=__doc__)
@click.option("--model", default="catalog-s0", show_default=True)
@click.option("--times", default=10, show_default=True)
@click.option("--seconds", default=3.0, show_default=True, help="Of each artifact's turns.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(model: str, times: int, seconds: float, out: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        targets = select(["onnx", "android"])
        request = pipeline.ExportRequest(resolve_model(model), targets, out=Path(folder), samples=8)
        exports = pipeline.export(request, Silent())
        exports.raise_for_failures()
        artifacts = [one.artifact for one in exports.exports if one.artifact is not None]
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for number in range(times):
            for way in WAYS:
                found[way].append(ratio(artifacts, way, seconds))
                click.echo(f"{number + 1}/{times} {way}: {found[way][-1]:.4f}", err=True)
    rows = [
        (way, f"{statistics.median(own):.3f}", f"{min(own):.3f}", f"{max(own):.3f}", f"{spread(own):.1%}")
        for way, own in found.items()
    ]
    columns = ("measured", ".pte / ONNX", "smallest", "largest", "spread")
    table(
        f"{model}, {times} times, {seconds:g} s each, load {os.getloadavg()[0]:.1f}", columns, rows, right=columns[1:]
    )
    if out is not None:
        out.write_text(
            json.dumps({way: {"ratios": own, "spread": spread(own)} for way, own in found.items()}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
