"""How well a ratio of two artifacts' latencies repeats: measured turn by turn, and one after the other.

Exports one model to ONNX and ExecuTorch, measures both ways in turn, several times, and prints the spread of the ratio:
largest less smallest, over the median. Turn by turn it is what `edgekit bench` prints (median of the rounds' own
quotients); the quotient of the two medians of the same samples stands beside it.
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
from edgekit.bench import measure as bench
from edgekit.bench.request import BenchRequest
from edgekit.bench.results.compare import differences_of_turns
from edgekit.bench.schema import Result
from edgekit.recipe import resolve_model
from edgekit.support.progress import Silent, table
from edgekit.targets import select

TURNS, MEDIANS, NAIVE = "turn by turn", "turn by turn, two medians", "one after the other"


def ratios(artifacts: Sequence[Path], seconds: float) -> dict[str, float]:
    """Latency of the second artifact over that of the first, in each way."""
    turns = measure(artifacts, seconds)
    alone = [result for path in artifacts for result in measure([path], seconds)]
    (difference,) = differences_of_turns(turns)
    return {TURNS: difference.ratio.value, MEDIANS: of_medians(turns), NAIVE: of_medians(alone)}


def measure(artifacts: Sequence[Path], seconds: float) -> list[Result]:
    request = BenchRequest(artifacts=artifacts, min_duration_s=seconds, min_iterations=100)
    return [outcome.result for outcome in bench.measure(request) if outcome.result is not None]


def of_medians(results: Sequence[Result]) -> float:
    base, new = (statistics.median(result.latency_ms.samples) for result in results)
    return new / base


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
        found: dict[str, list[float]] = {}
        for number in range(times):
            for way, value in ratios(artifacts, seconds).items():
                found.setdefault(way, []).append(value)
                click.echo(f"{number + 1}/{times} {way}: {value:.4f}", err=True)
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
