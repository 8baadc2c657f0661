"""Wall time and peak memory: `edgekit export --target all` with parity on 64 images, over three naive conversions.

The naive side is one process that writes the same backbone with each documented one-liner and verifies nothing.
Each side runs in a process of its own, turn by turn; peak memory is that process tree's largest resident set.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from edgekit.errors import ParityError
from edgekit.support.progress import table

BACKBONES = ("efficientnet_b0", "efficientformer_l1", "mobilevit_s", "vit_tiny_patch16_224")
MAX_WALL, MAX_MEMORY = 1.0, 1.3
PARITY_FAILED = ParityError.exit_code
COLUMNS = ("backbone", "naive s", "edgekit s", "wall ratio", "naive MB", "edgekit MB", "memory ratio")
NAIVE = """
import sys
from pathlib import Path
import torch
from edgekit.model.embedder import build_embedder
from edgekit.recipe import resolve_model
name, folder = sys.argv[1], Path(sys.argv[2])
embedder = build_embedder(resolve_model(name))
example = (embedder.example(),)
import coremltools as ct
program = torch.export.export(embedder, example).run_decompositions({})
ct.convert(program, convert_to="mlprogram").save(str(folder / "model.mlpackage"))
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
program = torch.export.export(embedder, example)
lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
(folder / "model.pte").write_bytes(lowered.buffer)
torch.onnx.export(embedder, example, folder / "model.onnx", dynamo=True)
"""
WATCH = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def run(command: list[str]) -> tuple[float, float]:
    """Seconds and peak MB of one command. Seeded weights may miss a retrieval gate, after the same work."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", WATCH, *command], capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode not in (0, PARITY_FAILED):
        raise click.ClickException(f"{' '.join(command)[:80]} failed: {done.stderr.strip().splitlines()[-1:]}")
    return seconds, int(done.stdout.rsplit("peak", 1)[1]) / 1024


def measure(name: str, rounds: int, samples: int) -> dict[str, Any]:
    edgekit = [str(Path(sys.executable).with_name("edgekit")), "export", name, "--target", "all", "--quiet"]
    sides: dict[str, list[tuple[float, float]]] = {"naive": [], "edgekit": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            sides["naive"].append(run([sys.executable, "-c", NAIVE, name, folder]))
        with tempfile.TemporaryDirectory() as folder:
            sides["edgekit"].append(run([*edgekit, "--samples", str(samples), "--out", str(Path(folder, "out"))]))
    row: dict[str, Any] = {"backbone": name}
    for side, figures in sides.items():
        row[f"{side}_s"] = statistics.median(seconds for seconds, _ in figures)
        row[f"{side}_mb"] = statistics.median(memory for _, memory in figures)
    row["wall_ratio"] = row["edgekit_s"] / row["naive_s"]
    row["memory_ratio"] = row["edgekit_mb"] / row["naive_mb"]
    return row


@click.command(help=__doc__)
@click.option("--list", "names", default=",".join(BACKBONES), help="Backbones, separated by commas.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--samples", default=64, show_default=True, help="Images for parity.")
@click.option("--core", type=int, default=(os.cpu_count() or 1) - 1, show_default=True, help="Core to pin to.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(names: str, rounds: int, samples: int, core: int, out: Path | None) -> None:
    os.sched_setaffinity(0, {core})
    os.environ["OMP_NUM_THREADS"] = "1"
    rows = []
    for name in names.split(","):
        rows.append(measure(name, rounds, samples))
        click.echo(f"{name}: wall {rows[-1]['wall_ratio']:.2f}, memory {rows[-1]['memory_ratio']:.2f}", err=True)
    keys = ("naive_s", "edgekit_s", "wall_ratio", "naive_mb", "edgekit_mb", "memory_ratio")
    digits = (1, 1, 2, 0, 0, 2)
    shown = [
        (row["backbone"], *(f"{row[key]:.{digit}f}" for key, digit in zip(keys, digits, strict=True))) for row in rows
    ]
    table(f"three targets with parity on {samples} images, one core", COLUMNS, shown, right=COLUMNS[1:])
    click.echo(f"targets: wall at most {MAX_WALL}, memory at most {MAX_MEMORY}")
    if out is not None:
        out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
