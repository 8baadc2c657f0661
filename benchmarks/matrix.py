"""Every listed backbone to all five formats, verified: one table, `make matrix`.

Weights are seeded (the normalisation layers calibrated on catalogue images) unless the name is a bundled recipe. Core
AI's runtime takes seconds an image and sees its 16.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from edgekit import pipeline, targets
from edgekit.errors import EdgeKitError
from edgekit.recipe import resolve_model
from edgekit.support.progress import Silent, table

BACKBONES = (
    "catalog-s0",
    "catalog-b0",
    "catalog-mobilevit-xs",
    "catalog-vit-tiny",
    "efficientnet_b0",
    "efficientformer_l1",
    "mobilevit_s",
    "vit_tiny_patch16_224",
    "vit_small_patch16_224",
    "deit_tiny_patch16_224",
    "efficientnetv2_rw_t",
    "efficientformerv2_s0",
    "mobilevitv2_100",
    "mobilenetv4_conv_small",
    "fastvit_t8",
    "repvit_m1",
    "tiny_vit_5m_224",
    "starnet_s1",
)
KEYS = ("ios", "ios-coreai", "android", "android-litert", "onnx")
COLUMNS = ("backbone", "target", "precision", "verdict", "min cosine", "mixed recall@10", "delegated", "MB", "seconds")


def measure(name: str, samples: int, keys: list[str]) -> list[dict[str, Any]]:
    """Export one backbone to every target; one row a target."""
    formats = [row for row in targets.select("all", "all") if row.key in keys]
    slow = [row for row in formats if row.samples is not None]
    fast = [row for row in formats if row.samples is None]
    return [row for rows, count in ((fast, samples), (slow, None)) if rows for row in _exported(name, rows, count)]


def _exported(name: str, chosen: list[targets.Target], samples: int | None) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        request = pipeline.ExportRequest(resolve_model(name), chosen, out=Path(folder), samples=samples)
        try:
            result = pipeline.export(request, Silent())
        except EdgeKitError as error:
            return [
                {"backbone": name, "target": row.key, "precision": row.precision, "error": str(error)} for row in chosen
            ]
        return [_row(name, item) for item in result.exports]


def _row(name: str, item: pipeline.Export) -> dict[str, Any]:
    row: dict[str, Any] = {"backbone": name, "target": item.target.key, "precision": item.precision}
    if item.report is not None:
        mixed = item.report.retrieval.mixed.at_10 if item.report.retrieval else None
        row |= {"verdict": item.report.verdict, "min cosine": item.report.min_cosine, "mixed recall@10": mixed}
    if item.manifest is not None:
        size = sum(file.bytes for file in item.manifest.files) / 1e6
        row |= {"delegated": item.manifest.coverage.delegated, "outside": item.manifest.coverage.outside, "MB": size}
    return row | {"seconds": item.seconds, "error": str(item.error) if item.error else None}


@click.command(help=__doc__)
@click.option("--list", "names", default=",".join(BACKBONES), help="Backbones, separated by commas.")
@click.option("--targets", "keys", default=",".join(KEYS), help="Columns, separated by commas.")
@click.option("--samples", default=200, show_default=True, help="Half a point of recall is one query of 200.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the rows here.")
def main(names: str, keys: str, samples: int, out: Path | None) -> None:
    rows: list[dict[str, Any]] = []
    for name in names.split(","):
        started = time.perf_counter()
        rows += measure(name, samples, keys.split(","))
        errors = [f"; {row['target']}: {row['error']}" for row in rows if row["backbone"] == name and row.get("error")]
        click.echo(f"{name}: {time.perf_counter() - started:.0f} s{''.join(errors)}", err=True)
        if out is not None:
            out.write_text(json.dumps(rows, indent=2) + "\n")
    shown = [tuple(_shown(column, row.get(column)) for column in COLUMNS) for row in rows]
    table(f"{len(names.split(','))} backbones, {samples} catalogue images", COLUMNS, shown, right=COLUMNS[4:])
    failed = sorted({row["backbone"] for row in rows if row.get("error")})
    if failed:
        raise SystemExit(f"held back: {', '.join(failed)}")


def _shown(column: str, value: Any) -> str:
    formats = {"min cosine": ".6f", "mixed recall@10": ".3f", "delegated": ".1%", "MB": ".1f", "seconds": ".0f"}
    return "-" if value is None else format(value, formats.get(column, ""))


if __name__ == "__main__":
    main()
