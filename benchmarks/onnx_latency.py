"""ONNX Runtime latency: EdgeKit's file over what `torch.onnx.export` writes for the same embedder.

Both files run in one process, one thread, one pinned core, turn by turn, with ONNX Runtime's default optimisation; and
beside them EdgeKit's .pte in ExecuTorch's runtime, over the faster of the two ONNX files.
Times are CPU time of that thread, so that what else the machine does at the moment is not counted.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import statistics
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnxruntime as ort
import torch
from side_by_side import BACKBONES, build, clock, image_of, interleave, pin
from torch.utils.flop_counter import FlopCounterMode

from edgekit.graph import capture, rewrite
from edgekit.model.embedder import Embedder
from edgekit.support.progress import table
from edgekit.targets import LowerOptions
from edgekit.targets.executorch.backend import lower as lower_pte
from edgekit.targets.executorch.backend import open as open_pte
from edgekit.targets.onnx.backend import lower

MAX_RATIO, MAX_MEAN_RATIO = 1.05, 0.95
COLUMNS = (
    "backbone",
    "torch.onnx ms",
    "EdgeKit ms",
    "ratio",
    "25-75 %",
    "cosine",
    "GEMM peak",
    ".pte ms",
    ".pte / ONNX",
)


def one_liner(embedder: Embedder, path: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(embedder, (embedder.example(),), path, dynamo=True, external_data=False)


def export(name: str, folder: Path) -> tuple[Embedder, Path, Path, Path]:
    """The embedder, what a user's one-liner writes, and EdgeKit's two files; files that exist already are kept."""
    embedder = build(name)
    naive, ours, pte = (folder / f"{name}{suffix}" for suffix in (".naive.onnx", ".onnx", ".pte"))
    if not naive.exists():
        one_liner(embedder, naive)
    for path, rewrites, write in ((ours, "onnx", lower), (pte, "executorch", lower_pte)):
        if not path.exists():
            write(rewrite(capture(embedder, embedder.example()), rewrites)[0], path, LowerOptions())
    return embedder, naive, ours, pte


def session(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    opened = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = opened.get_inputs()[0].name
    return lambda image: opened.run(None, {name: image})[0]


def gemm_peak(size: int = 1024, rounds: int = 10) -> float:
    """GFLOP a second of this core's fp32 matrix product at its best."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    best = min(clock(lambda: left @ right) for _ in range(rounds))
    return 2 * size**3 / best / 1e6


def measure(name: str, folder: Path, rounds: int) -> dict[str, Any]:
    embedder, naive, ours, pte = export(name, folder)
    pixels = image_of(embedder)
    image = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)
    runs = (
        partial(session(naive), image),
        partial(session(ours), image),
        partial(open_pte(pte).embed, pixels),
    )
    rows = [run()[0] for run in runs]
    cosine = float(rows[0] @ rows[1] / np.linalg.norm(rows[0]) / np.linalg.norm(rows[1]))
    timing = interleave(runs, rounds)
    naive_ms, ours_ms, pte_ms = timing.medians
    with FlopCounterMode(display=False) as flops:
        embedder(embedder.example())
    return {
        "backbone": name,
        "naive_ms": naive_ms,
        "edgekit_ms": ours_ms,
        **timing.figures(),
        "cosine": cosine,
        "pte_ms": pte_ms,
        "pte_over_onnx": pte_ms / min(naive_ms, ours_ms),
        "gflop": flops.get_total_flops() / 1e9,
        "gflops": flops.get_total_flops() / ours_ms / 1e6,
    }


@click.command(help=__doc__)
@click.option("--list", "names", default=",".join(BACKBONES), help="Backbones, separated by commas.")
@click.option("--rounds", default=40, show_default=True)
@click.option("--core", type=int, default=(os.cpu_count() or 1) - 1, show_default=True, help="Core to pin to.")
@click.option("--cache", type=click.Path(path_type=Path), help="Keep the files here, and reuse those that exist.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(names: str, rounds: int, core: int, cache: Path | None, out: Path | None) -> None:
    pin(core)
    peaks, rows = [gemm_peak()], []
    with tempfile.TemporaryDirectory() as folder:
        where = cache or Path(folder)
        where.mkdir(parents=True, exist_ok=True)
        for name in names.split(","):
            rows.append(measure(name, where, rounds))
            peaks.append(gemm_peak())
            click.echo(f"{name}: {rows[-1]['ratio']:.3f}", err=True)
    peak = max(peaks)
    mean = statistics.geometric_mean(row["ratio"] for row in rows)
    worst = max(rows, key=lambda row: row["ratio"])
    shown = [
        (
            row["backbone"],
            f"{row['naive_ms']:.2f}",
            f"{row['edgekit_ms']:.2f}",
            f"{row['ratio']:.3f}",
            f"{row['ratio_25']:.3f}-{row['ratio_75']:.3f}",
            f"{row['cosine']:.6f}",
            f"{row['gflops'] / peak:.0%}",
            f"{row['pte_ms']:.2f}",
            f"{row['pte_over_onnx']:.2f}",
        )
        for row in rows
    ]
    table(f"ONNX Runtime {ort.__version__}, 1 thread, core {core}", COLUMNS, shown, right=COLUMNS[1:])
    click.echo(f"geometric mean {mean:.3f} (target {MAX_MEAN_RATIO}), worst {worst['ratio']:.3f} {worst['backbone']}")
    click.echo(f"(none above {MAX_RATIO}); this core's GEMM peak {peak:.0f} GFLOP/s")
    if out is not None:
        result = {"rows": rows, "geometric_mean": mean, "gemm_peak_gflops": peak, "onnxruntime": ort.__version__}
        out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
