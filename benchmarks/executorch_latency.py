"""ExecuTorch latency: EdgeKit's .pte over the documented one-liner for the same embedder, in the same runtime.

Both files run in one process, one thread, one pinned core, turn by turn. Times are CPU time of that thread, so that
what else the machine does at the moment is not counted. Each file's cosine is against PyTorch: the one-liner's is not
always 1 (ExecuTorch 1.5 normalises a softmax that it holds channels-last over the wrong axis).
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from side_by_side import BACKBONES, build, image_of, interleave, pin

from edgekit.graph import capture, rewrite
from edgekit.model.embedder import Embedder
from edgekit.support.progress import table
from edgekit.support.quiet import quiet
from edgekit.targets import LowerOptions
from edgekit.targets.executorch.backend import lower
from edgekit.targets.executorch.backend import open as open_pte

FIRST = BACKBONES[:5]  # these have a target of their own
MAX_FIRST, MAX_RATIO, MAX_MEAN_RATIO = 0.60, 1.05, 0.70
COLUMNS = ("backbone", "one-liner ms", "EdgeKit ms", "ratio", "25-75 %", "one-liner cosine", "EdgeKit cosine", "parts")


def one_liner(embedder: Embedder, path: Path) -> None:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    with quiet("executorch", native=True):
        program = to_edge_transform_and_lower(
            torch.export.export(embedder, (embedder.example(),)), partitioner=[XnnpackPartitioner()]
        ).to_executorch()
    path.write_bytes(program.buffer)


def partitions(path: Path) -> int:
    return path.read_bytes().count(b"XnnpackBackend\x00")


def measure(name: str, folder: Path, rounds: int, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    embedder = build(name)
    naive, ours = folder / f"{name}.naive.pte", folder / f"{name}.pte"
    seconds: dict[str, float] = {}
    if not ours.exists():
        started = time.process_time()
        program, _ = rewrite(capture(embedder, embedder.example()), "executorch", without=without)
        lower(program, ours, LowerOptions())
        seconds["edgekit_lowering_cpu_s"] = time.process_time() - started
    if not naive.exists():
        started = time.process_time()
        one_liner(embedder, naive)
        seconds["naive_lowering_cpu_s"] = time.process_time() - started
    image = image_of(embedder)
    runners = open_pte(naive), open_pte(ours)
    with torch.no_grad():
        expected = embedder(torch.from_numpy(image).permute(0, 3, 1, 2).float())[0].numpy()
    rows = [runner.embed(image)[0] for runner in runners]
    cosines = [float(row @ expected / np.linalg.norm(row) / np.linalg.norm(expected)) for row in rows]
    timing = interleave([partial(runner.embed, image) for runner in runners], rounds)
    return {
        "backbone": name,
        "naive_ms": timing.medians[0],
        "edgekit_ms": timing.medians[1],
        **timing.figures(),
        "naive_cosine": cosines[0],
        "edgekit_cosine": cosines[1],
        "partitions": partitions(ours),
        **seconds,
    }


@click.command(help=__doc__)
@click.option("--list", "names", default=",".join(BACKBONES), help="Backbones, separated by commas.")
@click.option("--rounds", default=20, show_default=True)
@click.option("--core", type=int, default=(os.cpu_count() or 1) - 1, show_default=True, help="Core to pin to.")
@click.option("--cache", type=click.Path(path_type=Path), help="Keep the files here, and reuse those that exist.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(names: str, rounds: int, core: int, cache: Path | None, out: Path | None) -> None:
    pin(core)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        where = cache or Path(folder)
        where.mkdir(parents=True, exist_ok=True)
        for name in names.split(","):
            rows.append(measure(name, where, rounds))
            click.echo(f"{name}: {rows[-1]['ratio']:.3f}", err=True)
    shown = [
        (
            row["backbone"],
            f"{row['naive_ms']:.2f}",
            f"{row['edgekit_ms']:.2f}",
            f"{row['ratio']:.3f}",
            f"{row['ratio_25']:.3f}-{row['ratio_75']:.3f}",
            f"{row['naive_cosine']:.6f}",
            f"{row['edgekit_cosine']:.6f}",
            str(row["partitions"]),
        )
        for row in rows
    ]
    mean = statistics.geometric_mean(row["ratio"] for row in rows)
    worst = max(rows, key=lambda row: row["ratio"])
    table(f"ExecuTorch with XNNPACK, 1 thread, core {core}", COLUMNS, shown, right=COLUMNS[1:])
    click.echo(f"geometric mean {mean:.3f} (target {MAX_MEAN_RATIO}), worst {worst['ratio']:.3f} {worst['backbone']}")
    click.echo(f"(none above {MAX_RATIO}; at most {MAX_FIRST} for {', '.join(FIRST)})")
    if out is not None:
        out.write_text(json.dumps({"rows": rows, "geometric_mean": mean}, indent=2) + "\n")


if __name__ == "__main__":
    main()
