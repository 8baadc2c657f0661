"""Every listed backbone on arm64: its files run by the arm64 builds of their own runtimes under qemu, against the
original, beside what the same files give on this machine.

`edgekit setup arm64` first. Weights are as in benchmarks/matrix.py. With `--json` a row is kept as soon as it is there,
and what is there is not done again; the embeddings are emulated, not a phone's.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from matrix import BACKBONES
from quantize import planned

from edgekit import pipeline, targets
from edgekit.bench.drivers.arm64.machine import open_machine
from edgekit.bench.parity.run import ParityRequest, device_parity
from edgekit.bench.request import BenchRequest
from edgekit.parity.report import ParityReport
from edgekit.recipe import resolve_model
from edgekit.support.files import write_atomically
from edgekit.support.progress import Silent, table

STUDENTS = tuple(name for name in BACKBONES if name.startswith("catalog-"))
KEYS = ("android", "android-litert", "onnx")
COLUMNS = (
    "backbone",
    "target",
    "precision",
    "here",
    "on arm64",
    "min cosine here",
    "min cosine on arm64",
    "mixed recall@10",
    "s",
)


def row_of(name: str, plan: Path | None, key: str, samples: int) -> dict[str, Any]:
    """Export one backbone to one target, and compare its file with the original on both processors."""
    recipe = resolve_model(name)
    own = None if plan is None else planned(name, "auto", plan)
    row: dict[str, Any] = {"backbone": name, "target": key, "precision": "fp32" if own is None else "int8"}
    with tempfile.TemporaryDirectory() as folder:
        request = pipeline.ExportRequest(
            recipe,
            [row for row in targets.select("all", "all") if row.key == key],
            out=Path(folder),
            samples=samples,
            precision="fp32",
            plan=own,
        )
        (item,) = pipeline.export(request, Silent()).exports
        if item.artifact is None or item.report is None:
            return row | {"error": str(item.error)}
        started = time.perf_counter()
        where = BenchRequest(artifacts=[item.artifact], on="arm64")
        (finding,) = device_parity(ParityRequest(where=where, samples=samples), recipe)
        if finding.document is None:
            return row | {"error": str(finding.error)}
        return row | _figures(item.report, finding.document.report) | {"s": time.perf_counter() - started}


def _figures(here: ParityReport, there: ParityReport) -> dict[str, Any]:
    return {
        "here": here.verdict,
        "on arm64": there.verdict,
        "min cosine here": here.min_cosine,
        "min cosine on arm64": there.min_cosine,
        "mixed recall@10": there.retrieval.mixed.at_10 if there.retrieval else None,
        "reasons": there.reasons,
        "images": there.dataset.images,
        "runtime": there.runtime,
    }


@click.command(help=__doc__)
@click.option("--list", "names", default=",".join(BACKBONES), help="Backbones in fp32, separated by commas.")
@click.option("--int8", "quantized", default=",".join(STUDENTS), help="Backbones with an `auto` int8 plan.")
@click.option("--targets", "keys", default=",".join(KEYS), help="Columns, separated by commas.")
@click.option("--samples", default=16, show_default=True, help="An image of an fp32 file takes qemu 1 to 60 seconds.")
@click.option("--plans", type=click.Path(path_type=Path), default=Path("build/arm-plans"), help="Kept between runs.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Keep the rows here; those there are not redone.")
def main(names: str, quantized: str, keys: str, samples: int, plans: Path, out: Path | None) -> None:
    open_machine()  # tells at once that it is not there
    rows: list[dict[str, Any]] = json.loads(out.read_text()) if out is not None and out.exists() else []
    rows = [row for row in rows if not row.get("error")]  # those are tried again
    done = {(row["backbone"], row["target"], row["precision"]) for row in rows}
    todo = [
        (name, precision) for given, precision in ((names, "fp32"), (quantized, "int8")) for name in given.split(",")
    ]
    for name, precision in todo:
        for key in keys.split(","):
            if not name or (name, key, precision) in done:
                continue
            plan = plans / name if precision == "int8" else None
            rows.append(row_of(name, plan, key, samples))
            click.echo(f"{name} {key} {precision}: {rows[-1].get('error') or rows[-1]['on arm64']}", err=True)
            if out is not None:
                write_atomically(out, json.dumps(rows, indent=1) + "\n")
    shown = [tuple(_shown(column, row.get(column)) for column in COLUMNS) for row in rows]
    table(f"arm64 under qemu-user, {samples} catalogue images", COLUMNS, shown, right=COLUMNS[5:])
    failed = [row for row in rows if row.get("error") or row["on arm64"] != row["here"]]
    if failed:
        raise SystemExit(
            "differs: " + "; ".join(f"{row['backbone']} {row['target']} {row['precision']}" for row in failed)
        )


def _shown(column: str, value: Any) -> str:
    formats = {"min cosine here": ".6f", "min cosine on arm64": ".6f", "mixed recall@10": ".3f", "s": ".0f"}
    return "-" if value is None else format(value, formats.get(column, ""))


if __name__ == "__main__":
    main()
