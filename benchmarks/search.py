"""Exact search: the k best of a gallery for many queries, EdgeKit beside faiss called by hand from a numpy script.

Both sides search in turns in one process on one core, some queries at a time, in the same seeded gallery of unit rows
in float32; seconds are CPU time, and the ratio is the median of those of the turns. Memory is the peak of a fresh
process for each side over the gallery's own bytes. EdgeKit also searches an int8 gallery of its codes. faiss by hand
is `IndexFlatIP`, `add`, `search`.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from edgekit.evaluation.galleries import int8_gallery, plain_gallery
from edgekit.evaluation.search import search
from edgekit.support.progress import table
from edgekit.support.text import human_size

MAX_TIME, MAX_MEMORY, MAX_INT8_BYTES = 1.0, 1.2, 4_000_000_000
TURN = 1000  # queries
NOISE = 0.02  # what turns of one side differ by from each other
Ask = Callable[[np.ndarray], np.ndarray]


def made(count: int, dim: int, seed: int, kind: type) -> np.ndarray:
    """Random rows of unit length, or codes."""
    rng, step = np.random.default_rng(seed), 1 << 14
    if kind is np.int8:
        return rng.integers(-127, 128, (count, dim), dtype=np.int8)
    out: np.ndarray = np.empty((count, dim), kind)
    for start in range(0, count, step):
        some = rng.standard_normal((min(step, count - start), dim), dtype=np.float32)
        out[start : start + step] = some / np.linalg.norm(some, axis=1, keepdims=True)
    return out


def by_hand(gallery: np.ndarray, k: int) -> Ask:
    import faiss

    index = faiss.IndexFlatIP(gallery.shape[1])
    index.add(gallery)
    return lambda asked: np.asarray(index.search(asked, k)[0])


def edgekit(gallery: np.ndarray, k: int) -> Ask:
    kept = int8_gallery(gallery) if gallery.dtype == np.int8 else plain_gallery(gallery)
    return lambda asked: search(asked, kept, k).scores


def turns(rows: int, dim: int, queries: int, k: int) -> dict[str, list[float]]:
    """CPU seconds of each turn of each side; which begins changes from turn to turn."""
    gallery, asked = made(rows, dim, 0, np.float32), made(queries, dim, 1, np.float32)
    sides = {"by hand": by_hand(gallery, k), "EdgeKit": edgekit(gallery, k)}
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for number, start in enumerate(range(0, queries, TURN)):
        sums = {}
        for name in sorted(sides, reverse=bool(number % 2)):
            began = time.process_time()
            sums[name] = float(sides[name](asked[start : start + TURN]).sum())
            spent[name].append(time.process_time() - began)
        assert abs(sums["by hand"] - sums["EdgeKit"]) <= 1e-5 * abs(sums["by hand"]), sums
    return spent


def alone(side: str, rows: int, dim: int, queries: int, k: int) -> dict[str, float]:
    """One side alone: CPU seconds, peak bytes of the process, and bytes of the gallery."""
    gallery = made(rows, dim, 0, np.int8 if side == "int8" else np.float32)
    asked = made(queries, dim, 1, np.float32)
    began = time.process_time()
    (by_hand if side == "by hand" else edgekit)(gallery, k)(asked)
    seconds = time.process_time() - began
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "peak": peak, "gallery": gallery.nbytes}


def fresh(side: str, *numbers: int, core: int) -> Any:
    """What a fresh process finds of a side; "turns" is both."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "EDGEKIT_SIDE": side}
    command = [sys.executable, __file__, "--core", str(core), "--numbers", ",".join(map(str, numbers))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout)


@click.command(help=__doc__)
@click.option("--rows", default=1_000_000, show_default=True, help="Of the float32 gallery.")
@click.option("--queries", default=10_000, show_default=True)
@click.option("--int8-rows", default=10_000_000, show_default=True, help="Of the int8 gallery.")
@click.option("--int8-queries", default=20, show_default=True)
@click.option("--dim", default=256, show_default=True)
@click.option("--k", default=100, show_default=True)
@click.option("--core", default=0, show_default=True, help="Core to stay on.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
@click.option("--numbers", hidden=True, help="Of one side, in a process of its own.")
def main(
    rows: int, queries: int, int8_rows: int, int8_queries: int, dim: int, k: int, core: int, out: Path | None,
    numbers: str | None,
) -> None:  # fmt: skip
    os.sched_setaffinity(0, {core})
    if numbers is not None:
        side, given = os.environ["EDGEKIT_SIDE"], tuple(map(int, numbers.split(",")))
        click.echo(json.dumps(turns(*given) if side == "turns" else alone(side, *given)))
        return
    spent = fresh("turns", rows, dim, queries, k, core=core)
    ratio = statistics.median(own / hand for own, hand in zip(spent["EdgeKit"], spent["by hand"], strict=True))
    sides = {
        "by hand": (rows, queries, fresh("by hand", rows, dim, TURN, k, core=core)),
        "EdgeKit": (rows, queries, fresh("EdgeKit", rows, dim, queries, k, core=core)),
        "EdgeKit, int8": (int8_rows, int8_queries, fresh("int8", int8_rows, dim, int8_queries, k, core=core)),
    }
    own, codes = sides["EdgeKit"][2], sides["EdgeKit, int8"][2]
    met = {
        "time": ratio <= MAX_TIME + NOISE,
        "memory": own["peak"] <= MAX_MEMORY * own["gallery"],
        "int8 memory": codes["peak"] <= MAX_INT8_BYTES,
    }
    listed = []
    for name, (count, asked, row) in sides.items():
        seconds = sum(spent[name]) if name in spent else row["seconds"]
        gallery, peak = f"{count} ({human_size(row['gallery'])})", human_size(row["peak"])
        listed.append((name, gallery, str(asked), f"{seconds:.1f}", peak, f"{row['peak'] / row['gallery']:.2f}"))
    columns = ("side", "gallery", "queries", "CPU seconds", "peak memory", "over the gallery")
    table(f"The {k} best of {dim} values", columns, listed, right=columns[2:])
    click.echo(f"EdgeKit over faiss by hand: {ratio:.3f} of the time, the median of {len(spent['EdgeKit'])} turns")
    click.echo(", ".join(f"{name} target {'met' if yes else 'missed'}" for name, yes in met.items()))
    if out is not None:
        figures = {"ratio": ratio, "turns": spent, "sides": {name: row for name, (_, _, row) in sides.items()}}
        out.write_text(json.dumps(figures | {"met": met}, indent=2) + "\n")


if __name__ == "__main__":
    main()
