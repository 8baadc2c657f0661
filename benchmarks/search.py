"""Exact search: the k best of a gallery for many queries, EdgeKit beside faiss called by hand from a numpy script.

Each side runs in a fresh process on one core, which makes the same seeded gallery of unit rows in float32; seconds are
CPU time of the search alone, and memory is the peak of the whole process over the gallery's own bytes. EdgeKit also
searches an int8 gallery of its codes. faiss by hand is `IndexFlatIP`, `add`, `search`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from edgekit.support.progress import table
from edgekit.support.text import human_size

MAX_TIME, MAX_MEMORY, MAX_INT8_BYTES = 1.0, 1.2, 4_000_000_000
SIDE = """
import json, os, resource, sys, time
import faiss
import numpy as np

side, rows, dim, queries, k, core = sys.argv[1], *map(int, sys.argv[2:])
os.sched_setaffinity(0, {core})
faiss.omp_set_num_threads(1)

def made(count, seed, kind):
    rng, step = np.random.default_rng(seed), 1 << 14
    if kind == np.int8:
        return rng.integers(-127, 128, (count, dim), dtype=np.int8)
    out = np.empty((count, dim), kind)
    for start in range(0, count, step):
        some = rng.standard_normal((min(step, count - start), dim), dtype=np.float32)
        some /= np.linalg.norm(some, axis=1, keepdims=True)
        out[start : start + step] = some
    return out

gallery, asked = made(rows, 0, np.int8 if side == "int8" else np.float32), made(queries, 1, np.float32)
started = time.process_time()
if side == "by hand":
    index = faiss.IndexFlatIP(dim)
    index.add(gallery)
    scores, found = index.search(asked, k)
else:
    from edgekit.evaluation.galleries import int8_gallery, plain_gallery
    from edgekit.evaluation.search import search
    done = search(asked, int8_gallery(gallery) if side == "int8" else plain_gallery(gallery), k)
    scores, found = done.scores, done.rows
seconds = time.process_time() - started
peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": seconds, "peak": peak, "gallery": gallery.nbytes, "check": float(scores.sum())}))
"""


def measured(side: str, rows: int, dim: int, queries: int, k: int, core: int) -> dict[str, Any]:
    """CPU seconds of a search, peak bytes of its process, bytes of the gallery, and the sum of all scores."""
    command = [sys.executable, "-c", SIDE, side, *map(str, (rows, dim, queries, k, core))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


@click.command(help=__doc__)
@click.option("--rows", default=1_000_000, show_default=True, help="Of the float32 gallery.")
@click.option("--queries", default=10_000, show_default=True)
@click.option("--int8-rows", default=10_000_000, show_default=True, help="Of the int8 gallery; 0: not measured.")
@click.option("--int8-queries", default=100, show_default=True)
@click.option("--dim", default=256, show_default=True)
@click.option("--k", default=100, show_default=True)
@click.option("--core", default=0, show_default=True, help="Core to stay on.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(
    rows: int, queries: int, int8_rows: int, int8_queries: int, dim: int, k: int, core: int, out: Path | None
) -> None:
    results = {side: measured(side, rows, dim, queries, k, core) for side in ("by hand", "EdgeKit")}
    hand, own = results["by hand"], results["EdgeKit"]
    assert abs(hand["check"] - own["check"]) <= 1e-5 * abs(hand["check"]), results
    met = {
        "time": own["seconds"] <= MAX_TIME * hand["seconds"],
        "memory": own["peak"] <= MAX_MEMORY * own["gallery"],
    }
    if int8_rows:
        results["int8"] = measured("int8", int8_rows, dim, int8_queries, k, core)
        met["int8 memory"] = results["int8"]["peak"] <= MAX_INT8_BYTES
    sizes = {"by hand": (rows, queries), "EdgeKit": (rows, queries), "int8": (int8_rows, int8_queries)}
    table(
        f"The {k} best of {dim} values",
        ("side", "gallery", "queries", "CPU seconds", "peak memory", "over the gallery"),
        [
            (
                side,
                f"{sizes[side][0]} ({human_size(row['gallery'])})",
                str(sizes[side][1]),
                f"{row['seconds']:.1f}",
                human_size(row["peak"]),
                f"{row['peak'] / row['gallery']:.2f}",
            )
            for side, row in results.items()
        ],
        right=("queries", "CPU seconds", "peak memory", "over the gallery"),
    )
    click.echo(", ".join(f"{name} target {'met' if yes else 'missed'}" for name, yes in met.items()))
    if out is not None:
        out.write_text(json.dumps({"results": results, "met": met}, indent=2) + "\n")


if __name__ == "__main__":
    main()
