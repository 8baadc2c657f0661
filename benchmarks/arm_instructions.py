"""Instructions of one inference on arm64: EdgeKit's file over the documented one-liner's. A count, not a time.

The arm64 builds of the runtimes run under qemu (`edgekit setup arm64` first), and a plugin of qemu's counts what runs
between the runner's call of the runtime and its return, on one thread; the second inference is counted, as the first
prepares. A processor is named that has NEON, half precision and dot products, as the large cores of phones since 2018;
its instructions are counted, not those of the machine here. With `--int8 PLANS`, files of the plans in that folder are
counted over EdgeKit's own fp32 files.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click
import executorch_latency
import numpy as np
import onnx_latency
from litert_latency import one_liner as litert_one_liner
from side_by_side import BACKBONES, build, image_of

from edgekit import quantization, targets
from edgekit.bench.drivers.arm64.machine import CPU, Machine, open_machine
from edgekit.errors import EdgeKitError
from edgekit.graph import capture, prepare, rewrite, specialize
from edgekit.model.embedder import Embedder
from edgekit.support.progress import table
from edgekit.support.text import reason_of
from edgekit.targets import LowerOptions, Target

PLUGIN = Path(__file__).with_name("arm_instructions.c")
MAX_RATIO, MAX_MEAN_RATIO, MAX_INTEGER_RATIO = 1.02, 0.60, 0.50  # of .pte files
STUDENTS = ("catalog-s0", "catalog-vit-tiny", "catalog-b0", "catalog-mobilevit-xs")
COLUMNS = ("backbone", "format", "baseline", "EdgeKit", "ratio")


def lowered(embedder: Embedder, target: Target, path: Path) -> None:
    target.backend().lower(rewrite(capture(embedder, embedder.example()), target.rewrites)[0], path, LowerOptions())


def planned(embedder: Embedder, target: Target, path: Path, plan: Path) -> None:
    assert target.forms is not None
    program, _ = prepare(capture(embedder, embedder.example()))
    quantized, levels = quantization.apply(program, quantization.read_plan(plan), target.forms)
    options = LowerOptions(scheme="auto", levels=levels)
    target.backend().lower(specialize(quantized, target.rewrites)[0], path, options)


ONE_LINERS: dict[str, Callable[[Embedder, Path], None]] = {
    "executorch": executorch_latency.one_liner,
    "onnx": onnx_latency.one_liner,
    "litert": litert_one_liner,
}


def plugin(folder: Path) -> Path:
    made = folder / "arm_instructions.so"
    if not made.exists():
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(made), str(PLUGIN)], check=True)
    return made


def counted(text: Iterable[str]) -> list[int]:
    """Instructions of each inference, of the plugin's lines: from `enter` to the last `in` before the next."""
    found: list[list[int]] = []
    for line in text:
        word, _, count = line.partition(" ")
        if word == "enter":
            found.append([int(count), int(count)])
        elif word == "in" and found:
            found[-1][1] = int(count)
    return [end - start for start, end in found]


def counting(machine: Machine, log: Path, folder: Path) -> list[str]:
    """What to put before an arm64 program and its arguments, for the plugin's lines to be in `log`."""
    emulator = shutil.which("qemu-aarch64")
    if emulator is None:
        raise click.ClickException("there is no qemu-aarch64, which takes plugins: apt-get install qemu-user")
    return [emulator, *machine.prefix[1:], "-d", "plugin", "-D", str(log), "-plugin", str(plugin(folder))]


def count(path: Path, target: Target, embedder: Embedder, machine: Machine, folder: Path) -> int:
    """Instructions of the second inference of a file."""
    height, width = embedder.spec.size
    dim = int(embedder.embed(image_of(embedder)).shape[1])
    log, given = folder / "count.txt", folder / "inputs.bin"
    image_of(embedder).tofile(given)
    np.ones((1, dim), np.float32).tofile(folder / "golden.bin")
    runner = target.backend().open(path)
    layout = "nhwc" if getattr(runner, "_channels_last", False) else "nchw"
    options = {
        "format": target.format, "model": path, "library": machine.library(target.format), "inputs": given,
        "golden": folder / "golden.bin", "count": 1, "height": height, "width": width, "dim": dim, "layout": layout,
        "warmup": 0, "iterations": 1, "duration": 0, "threads": 1, "min-cosine": 0, "run-id": "0" * 32,
        "model-sha256": "0" * 64, "out": folder / "result.json",
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [*counting(machine, log, folder), str(machine.runner), *words]
    done = subprocess.run(command, env={**os.environ, **machine.environment}, capture_output=True, text=True)
    inferences = counted(log.read_text().splitlines())
    if len(inferences) < 2:
        raise click.ClickException(f"{path.name}: the runner did not get through: {done.stderr.strip()[-300:]}")
    return inferences[1]


def measure(name: str, target: Target, machine: Machine, folder: Path, plans: Path | None) -> dict[str, Any]:
    embedder = build(name)
    paths = {key: folder / f"{name}.{key}{target.suffix}" for key in ("baseline", "edgekit")}
    makers: dict[str, Callable[[Path], None]] = {
        "baseline": partial(ONE_LINERS[target.format], embedder),
        "edgekit": partial(lowered, embedder, target),
    }
    if plans is not None:
        makers = {
            "baseline": makers["edgekit"],
            "edgekit": partial(planned, embedder, target, plan=plans / name / "plan.json"),
        }
    row: dict[str, Any] = {"backbone": name, "format": target.format, "int8": plans is not None}
    for key, path in paths.items():
        try:
            makers[key](path)
            row[key] = count(path, target, embedder, machine, folder)
        except (EdgeKitError, ValueError) as error:  # a one-liner that does not convert this backbone
            row[key], row["refusal"] = None, f"{key}: {reason_of(error)}"
        path.unlink(missing_ok=True)
    return row


def ratio(row: dict[str, Any]) -> float | None:
    return row["edgekit"] / row["baseline"] if row["edgekit"] and row["baseline"] else None


def show(rows: list[dict[str, Any]]) -> bool:
    """Print; whether a limit is broken."""
    broken = False
    for int8 in sorted({row["int8"] for row in rows}):
        group = [row for row in rows if row["int8"] == int8]
        cells = []
        for row in group:
            figures = (f"{row[key] / 1e6:.1f}" if row[key] else "-" for key in ("baseline", "edgekit"))
            own = ratio(row)
            cells.append(
                (row["backbone"], row["format"], *figures, f"{own:.3f}" if own else row.get("refusal", "")[:60])
            )
        for name in sorted({row["format"] for row in group}):
            found = [own for row in group if row["format"] == name and (own := ratio(row)) is not None]
            if not found:
                continue
            mean = math.exp(sum(map(math.log, found)) / len(found))
            cells.append(("geometric mean", name, "", "", f"{mean:.3f}"))
            if name == "executorch":
                broken |= mean > (MAX_INTEGER_RATIO if int8 else MAX_MEAN_RATIO) or (
                    not int8 and max(found) > MAX_RATIO
                )
        what = "int8 plan over EdgeKit's fp32" if int8 else "fp32, over the one-liner"
        table(f"Million instructions of one inference on {CPU} (emulated), {what}", COLUMNS, cells, right=COLUMNS[2:])
    return broken


@click.command(help=__doc__)
@click.option("--list", "names", default=",".join(BACKBONES), help="Backbones, separated by commas.")
@click.option("--format", "formats", multiple=True, default=("executorch",), help="Repeatable.", show_default=True)
@click.option("--int8", "plans", type=click.Path(path_type=Path), help="Folder with NAME/plan.json of the students.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Keep the rows here; those there are not redone.")
def main(names: str, formats: tuple[str, ...], plans: Path | None, out: Path | None) -> None:
    machine = open_machine()
    rows: list[dict[str, Any]] = json.loads(out.read_text()) if out is not None and out.exists() else []
    known = {(row["backbone"], row["format"], row["int8"]) for row in rows}
    chosen = STUDENTS if plans is not None and names == ",".join(BACKBONES) else names.split(",")
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            for key in formats:
                if (name, key, plans is not None) in known:
                    continue
                target = targets.find({"executorch": "android", "litert": "android", "onnx": "onnx"}[key], key)
                rows.append(measure(name, target, machine, Path(folder), plans))
                click.echo(f"{name} {key}: {ratio(rows[-1])}", err=True)
                if out is not None:
                    out.write_text(json.dumps(rows, indent=1))
    raise SystemExit(show(rows))


if __name__ == "__main__":
    main()
