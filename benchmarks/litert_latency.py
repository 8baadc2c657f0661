"""LiteRT latency: EdgeKit's .tflite over what `litert_torch.convert` writes for the same embedder, in the same runtime.

A backbone that the one-liner cannot convert is named, and not compared. Both files run in one process, one thread, one
pinned core, turn by turn; and beside them EdgeKit's .pte and .onnx, the faster of which the .tflite is compared with.
With `int8`, EdgeKit's file of a plan takes the place of the one-liner's: the ratio is then that of integers over float.
Times are CPU time of that thread, so that what else the machine does at the moment is not counted.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from side_by_side import BACKBONES, build, image_of, interleave, pin

from edgekit import quantization
from edgekit.graph import capture, prepare, rewrite, specialize
from edgekit.model.embedder import Embedder
from edgekit.support.progress import table
from edgekit.support.quiet import quiet
from edgekit.targets import LowerOptions, timed
from edgekit.targets.executorch import backend as executorch
from edgekit.targets.litert import backend as litert
from edgekit.targets.onnx import backend as onnx

MAX_RATIO, MAX_MEAN_RATIO = 1.05, 0.90
MAX_INTEGER_RATIO = 0.60
COLUMNS = (
    "backbone", "baseline ms", "EdgeKit ms", "ratio", "25-75 %", "baseline cosine", "EdgeKit cosine", "best other ms",
    "tflite / other",
)  # fmt: skip


def trained(name: str) -> Embedder:
    """A backbone as `build` gives it, without the gains of 0 that some begin with: a converter may leave out what
    such a gain hides, and training makes it another number.
    """
    embedder = build(name)
    with torch.no_grad():
        for parameter in embedder.parameters():
            if parameter.dim() == 1 and not parameter.requires_grad_(False).any() and _is_gain(embedder, parameter):
                parameter.fill_(0.1)
    return embedder


def _is_gain(embedder: Embedder, parameter: torch.Tensor) -> bool:
    norms = (module for module in embedder.modules() if hasattr(module, "running_mean"))
    return any(module.weight is parameter for module in norms)


def one_liner(embedder: Embedder, path: Path) -> None:
    import litert_torch

    with quiet("litert_torch", native=True):
        litert_torch.convert(embedder.eval(), (embedder.example(),)).export(str(path))


def in_float(embedder: Embedder, path: Path) -> None:
    litert.lower(rewrite(capture(embedder, embedder.example()), "litert")[0], path, LowerOptions())


def in_integers(embedder: Embedder, path: Path, plan: Path) -> None:
    """The embedder as a plan has it."""
    program, _ = prepare(capture(embedder, embedder.example()))
    quantized, levels = quantization.apply(program, quantization.read_plan(plan), "litert")
    options = LowerOptions(scheme="auto", levels=levels)
    litert.lower(specialize(quantized, "litert")[0], path, options)


def made(path: Path, make: Callable[[Path], None]) -> float | None:
    """Make a file that is not there yet; returns the CPU seconds that it took."""
    if path.exists():
        return None
    started = time.process_time()
    make(path)
    return time.process_time() - started


def bare(path: Path, pixels: np.ndarray) -> tuple[Callable[[], np.ndarray], np.ndarray]:
    """A run of a file on one image that is ready, and what it gives."""
    opener = {".tflite": litert.open, ".pte": executorch.open, ".onnx": onnx.open}[path.suffix]
    runner = timed(opener(path))
    run = partial(runner.run, runner.ready(pixels[0]))
    return run, run()


def measure(name: str, folder: Path, rounds: int, plans: Path | None) -> dict[str, Any]:
    embedder = trained(name)
    ours = folder / f"{name}.tflite"
    seconds = {"edgekit_lowering_cpu_s": made(ours, partial(in_float, embedder))}
    first, second, refusal = folder / f"{name}.naive.tflite", ours, None
    if plans is not None:
        first, second = ours, folder / f"{name}.int8.tflite"
        made(second, partial(in_integers, embedder, plan=plans / name / "plan.json"))
    else:
        try:
            seconds["naive_lowering_cpu_s"] = made(first, partial(one_liner, embedder))
        except ValueError as error:  # litert-torch 0.10 does not convert mobilevitv2_100
            refusal, first = str(error).splitlines()[0][:120], ours
    others = {"executorch": folder / f"{name}.pte", "onnx": folder / f"{name}.onnx"}
    for (rewrites, path), module in zip(others.items(), (executorch, onnx), strict=True):
        if not path.exists():
            module.lower(rewrite(capture(embedder, embedder.example()), rewrites)[0], path, LowerOptions())
    pixels = image_of(embedder)
    with torch.no_grad():
        expected = embedder(torch.from_numpy(pixels).permute(0, 3, 1, 2).float())[0].numpy()
    runs, results = zip(*(bare(path, pixels) for path in (first, second, *others.values())), strict=True)
    cosines = [float(row @ expected / np.linalg.norm(row) / np.linalg.norm(expected)) for row in results]
    timing = interleave(runs, rounds)
    against = {"baseline_ms": timing.medians[0], **timing.figures(), "baseline_cosine": cosines[0]}
    return {
        "backbone": name,
        **({"refusal": refusal} if refusal else against),
        "edgekit_ms": timing.medians[1],
        "edgekit_cosine": cosines[1],
        "pte_ms": timing.medians[2],
        "onnx_ms": timing.medians[3],
        "over_best_other": timing.medians[1] / min(timing.medians[2:]),
        **{key: value for key, value in seconds.items() if value is not None},
    }


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """A row of the table; of a backbone that the one-liner does not convert, EdgeKit's figures alone."""
    compared = ("none", "", "", "")
    if "refusal" not in row:
        spread = f"{row['ratio_25']:.3f}-{row['ratio_75']:.3f}"
        compared = (f"{row['baseline_ms']:.2f}", f"{row['ratio']:.3f}", spread, f"{row['baseline_cosine']:.6f}")
    baseline, ratio, spread, cosine = compared
    own = f"{row['edgekit_ms']:.2f}", f"{row['edgekit_cosine']:.6f}"
    other = f"{min(row['pte_ms'], row['onnx_ms']):.2f}", f"{row['over_best_other']:.3f}"
    return (row["backbone"], baseline, own[0], ratio, spread, cosine, own[1], *other)


@click.command(help=__doc__)
@click.option("--list", "names", default=",".join(BACKBONES), help="Backbones, separated by commas.")
@click.option("--rounds", default=20, show_default=True)
@click.option("--core", type=int, default=(os.cpu_count() or 1) - 1, show_default=True, help="Core to pin to.")
@click.option("--cache", type=click.Path(path_type=Path), help="Keep the files here, and reuse those that exist.")
@click.option("--int8", "plans", type=click.Path(path_type=Path), help="Folders of plans, one for each backbone.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(names: str, rounds: int, core: int, cache: Path | None, plans: Path | None, out: Path | None) -> None:
    pin(core)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        where = cache or Path(folder)
        where.mkdir(parents=True, exist_ok=True)
        for name in names.split(","):
            rows.append(measure(name, where, rounds, plans))
            click.echo(f"{name}: {rows[-1].get('ratio', 'no baseline')}", err=True)
    compared = [row for row in rows if "refusal" not in row]
    if not compared:
        raise click.ClickException("the one-liner converts none of these backbones: give others")
    mean = statistics.geometric_mean(row["ratio"] for row in compared)
    other = statistics.geometric_mean(row["over_best_other"] for row in rows)
    worst = max(compared, key=lambda row: row["ratio"])
    table(f"LiteRT with XNNPACK, 1 thread, core {core}", COLUMNS, [cells(row) for row in rows], right=COLUMNS[1:])
    for row in rows:
        if "refusal" in row:
            click.echo(f"{row['backbone']}: the one-liner makes no file ({row['refusal']})")
    wanted = MAX_MEAN_RATIO if plans is None else MAX_INTEGER_RATIO
    click.echo(f"geometric mean {mean:.3f} (target {wanted}), worst {worst['ratio']:.3f} {worst['backbone']}")
    if plans is None:
        click.echo(f"(none above {MAX_RATIO})")
    click.echo(f".tflite over the faster of .pte and .onnx: geometric mean {other:.3f}")
    if out is not None:
        figures = {"rows": rows, "geometric_mean": mean, "over_best_other": other}
        out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
