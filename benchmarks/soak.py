"""Many exports in one process: does its memory grow? Reads the process's resident set from the system after each.

No garbage is collected and nothing is given back to the system but what EdgeKit does itself. Formats take turns. The
growth is the resident set after the last export over that after the tenth, both as the mean over one turn of all
formats, since formats need different amounts.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import click

from edgekit import ExportRequest, export
from edgekit.recipe import resolve_model
from edgekit.support.progress import table
from edgekit.targets import TARGETS, Target

SETTLED = 10  # exports, after which every format has been there and every toolchain is loaded


def memory() -> dict[str, float]:
    """Resident and proportional set of this process in MiB."""
    rows = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(value.split()[0]) / 1024 for name, _, value in (row.partition(":") for row in rows)}
    return {"rss": sizes["Rss"], "pss": sizes["Pss"]}


def one(model: str, size: int, target: Target, out: Path) -> None:
    recipe = resolve_model(model).override(input={"size": (size, size)})
    export(ExportRequest(recipe=recipe, targets=(target,), out=out, samples=8, min_ios=target.default_ios))


@click.command(help=__doc__)
@click.option("--model", default="tests.toys:tower", show_default=True)
@click.option("--size", default=64, show_default=True)
@click.option("--exports", default=200, show_default=True)
@click.option("--format", "formats", multiple=True, default=[row.key for row in TARGETS], show_default=True)
@click.option("--limit", default=2.0, show_default=True, help="Most growth after the tenth export, in per cent.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(model: str, size: int, exports: int, formats: tuple[str, ...], limit: float, out: Path | None) -> None:
    rows = [row for row in TARGETS if row.key in formats]
    taken: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(exports):
            started, target = time.perf_counter(), rows[number % len(rows)]
            one(model, size, target, Path(scratch))
            taken.append({"export": number + 1, "format": target.key, **memory()})
            seconds = time.perf_counter() - started
            click.echo(f"{number + 1:4} {target.key:16} {taken[-1]['rss']:8.1f} MiB {seconds:6.1f} s", err=True)
    turn = len(rows)
    figures = {}
    for kind in ("rss", "pss"):
        values = [float(str(row[kind])) for row in taken]
        first, last = (sum(part) / turn for part in (values[SETTLED - turn : SETTLED], values[-turn:]))
        figures[kind] = {"tenth": first, "last": last, "growth": 100 * (last / first - 1)}
    cells = [
        (kind, *(f"{row[name]:.1f}" for name in ("tenth", "last")), f"{row['growth']:+.2f} %")
        for kind, row in figures.items()
    ]
    columns = ("memory, MiB", "after the tenth", f"after export {exports}", "growth")
    table(f"{exports} exports in one process", columns, cells, right=columns[1:])
    if out is not None:
        out.write_text(json.dumps({"figures": figures, "exports": taken}, indent=2) + "\n")
    raise SystemExit(figures["rss"]["growth"] > limit)


if __name__ == "__main__":
    main()
