"""Core AI: EdgeKit's asset over what Apple's converter makes of the same embedder.

Operators are counted by Apple's own summary of an asset. Both assets run on Apple's runtime on Linux, in one process,
on one pinned core, turn by turn, as they are written; and EdgeKit's also as EdgeKit's runner runs it to verify it,
with paddings as copies. Times are CPU time of the process, so that what else the machine does is not counted.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from coreai_torch import TorchConverter, get_decomp_table
from matrix import BACKBONES
from side_by_side import build, pin

from edgekit.data.datasets import CatalogPictures
from edgekit.graph import capture, rewrite
from edgekit.model.embedder import Embedder
from edgekit.support.progress import table
from edgekit.support.quiet import quiet
from edgekit.targets import LowerOptions
from edgekit.targets.coreai.asset import operators
from edgekit.targets.coreai.backend import lower
from edgekit.targets.coreai.runner import CoreAIRunner

MAX_TIME_RATIO = 0.7
COLUMNS = ("backbone", "ops", "plain", "ratio", "MB", "plain", "ms", "plain", "ratio", "verified", "ratio", "cosine")


def plain(embedder: Embedder, path: Path) -> None:
    """What a user's few lines write."""
    program = torch.export.export(embedder, (embedder.example(),)).run_decompositions(get_decomp_table())
    TorchConverter().add_exported_program(program).to_coreai().save_asset(path)


def export(name: str, folder: Path) -> tuple[Embedder, Path, Path]:
    """The embedder and both assets; those that exist already are kept."""
    embedder = build(name)
    naive, ours = folder / f"{name}.plain.aimodel", folder / f"{name}.aimodel"
    if not naive.exists():
        with quiet("coreai-torch", native=True):
            plain(embedder, naive)
    if not ours.exists():
        program, _ = rewrite(capture(embedder, embedder.example()), "coreai")
        lower(program, ours, LowerOptions(min_ios=27))
    return embedder, naive, ours


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir())


def turns(runs: Sequence[Callable[[], Any]], rounds: int) -> list[list[float]]:
    """CPU milliseconds of each run, round by round."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, taken in zip(runs, times, strict=True):
            started = time.process_time()
            run()
            taken.append((time.process_time() - started) * 1000)
    return times


def measure(name: str, folder: Path, rounds: int) -> dict[str, Any]:
    embedder, naive, ours = export(name, folder)
    counts = [sum(operators(path).values()) for path in (ours, naive)]
    row: dict[str, Any] = {
        "backbone": name,
        "ops": counts[0],
        "plain_ops": counts[1],
        "by_op": operators(ours),
        "plain_by_op": operators(naive),
        "bytes": size(ours),
        "plain_bytes": size(naive),
    }
    if rounds:
        pixels = np.stack([picture.image for picture in CatalogPictures(1, embedder.spec)])
        runners = [CoreAIRunner(path) for path in (ours, naive)]
        runs = [partial(runner.run, runner.ready(pixels[0])) for runner in runners]
        runs.append(partial(runners[0].embed, pixels))
        rows = [np.ravel(run()) for run in runs]
        row["cosine"] = float(min(rows[0] @ other / np.linalg.norm(rows[0]) / np.linalg.norm(other) for other in rows))
        times = turns(runs, rounds)
        for key, of in (("ms", 0), ("plain_ms", 1), ("verified_ms", 2)):
            row[key] = statistics.median(times[of])
        for key, of in (("ratio", 0), ("verified_ratio", 2)):
            row[key] = statistics.median(one / other for one, other in zip(times[of], times[1], strict=True))
    return row


def shown(row: dict[str, Any]) -> tuple[str, ...]:
    def figure(key: str, form: str) -> str:
        return format(row[key], form) if key in row else "-"

    return (
        row["backbone"],
        str(row["ops"]),
        str(row["plain_ops"]),
        f"{row['ops'] / row['plain_ops']:.3f}",
        f"{row['bytes'] / 1e6:.2f}",
        f"{row['plain_bytes'] / 1e6:.2f}",
        figure("ms", ".0f"),
        figure("plain_ms", ".0f"),
        figure("ratio", ".3f"),
        figure("verified_ms", ".0f"),
        figure("verified_ratio", ".3f"),
        figure("cosine", ".6f"),
    )


@click.command(help=__doc__)
@click.option("--list", "names", default=",".join(BACKBONES), help="Backbones, separated by commas.")
@click.option("--rounds", default=5, show_default=True, help="0 counts and weighs only.")
@click.option("--core", type=int, default=(os.cpu_count() or 1) - 1, show_default=True, help="Core to pin to.")
@click.option("--cache", type=click.Path(path_type=Path), help="Keep the assets here, and reuse those that exist.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(names: str, rounds: int, core: int, cache: Path | None, out: Path | None) -> None:
    pin(core)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        where = cache or Path(folder)
        where.mkdir(parents=True, exist_ok=True)
        for name in names.split(","):
            rows.append(measure(name, where, rounds))
            click.echo(" ".join(shown(rows[-1])), err=True)
    versions = {package: version(package) for package in ("coreai-core", "coreai-torch")}
    said = ", ".join(f"{package} {number}" for package, number in versions.items())
    table(f"{said}, 1 core", COLUMNS, [shown(row) for row in rows], right=COLUMNS[1:])
    more = [row["backbone"] for row in rows if row["ops"] >= row["plain_ops"]]
    larger = [row["backbone"] for row in rows if row["bytes"] > row["plain_bytes"]]
    click.echo(f"not fewer operators: {', '.join(more) or 'none'}; larger: {', '.join(larger) or 'none'}")
    means = {}
    if rounds:
        for key in ("ratio", "verified_ratio"):
            means[key] = statistics.geometric_mean(row[key] for row in rows)
        click.echo(
            f"geometric mean of the time {means['ratio']:.3f} as written, {means['verified_ratio']:.3f} as verified "
            f"(target {MAX_TIME_RATIO})"
        )
    if out is not None:
        out.write_text(json.dumps({"rows": rows, "geometric_means": means, "versions": versions}, indent=2) + "\n")


if __name__ == "__main__":
    main()
