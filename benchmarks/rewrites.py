"""What each rewrite gains: a fitting backbone's .pte with all rewrites over the same without that one.

Interleaved in one process, one thread, one pinned core, in CPU time of that thread. A ratio below 1 is a gain. A row
that later rewrites build upon (attention, views) takes their gain with it when it is left out.
"""

from __future__ import annotations

import json
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import click
from side_by_side import build, image_of, interleave, pin

from edgekit.graph import capture, rewrite
from edgekit.support.progress import table
from edgekit.targets import LowerOptions
from edgekit.targets.executorch.backend import lower
from edgekit.targets.executorch.backend import open as open_pte

# The rewrite left out, and a backbone that has what it is about.
CASES = (
    ("fold_batch_norm", "efficientformer_l1"),
    ("fold_normalization", "vit_tiny_patch16_224"),
    ("plain_attention", "vit_tiny_patch16_224"),
    ("batch_matmul", "tiny_vit_5m_224"),
    ("hoist_slices", "vit_tiny_patch16_224"),
    ("fold_scales", "efficientformer_l1"),
    ("flat_softmax", "mobilevit_s"),
    ("plain_pooling", "mobilevitv2_100"),
    ("plain_layer_norm", "vit_tiny_patch16_224"),
    ("plain_group_norm", "mobilevitv2_100"),
    ("plain_vector_norm", "fastvit_t8"),
    ("split_depthwise", "starnet_s1"),
    ("merge_views", "vit_tiny_patch16_224"),
)
COLUMNS = ("rewrite", "backbone", "without ms", "with ms", "ratio", "25-75 %", "partitions without", "with")


def measure(name: str, backbone: str, folder: Path, rounds: int) -> dict[str, Any]:
    embedder = build(backbone)
    program = capture(embedder, embedder.example())
    runners, parts = [], []
    for label, without in (("without", frozenset({name})), ("with", frozenset[str]())):
        path = folder / f"{name}-{label}.pte"
        parts.append(lower(rewrite(program, "executorch", without=without)[0], path, LowerOptions()).partitions)
        runners.append(open_pte(path))
    image = image_of(embedder)
    timing = interleave([partial(runner.embed, image) for runner in runners], rounds)
    return {
        "rewrite": name,
        "backbone": backbone,
        "without_ms": timing.medians[0],
        "with_ms": timing.medians[1],
        **timing.figures(),
        "partitions_without": parts[0],
        "partitions_with": parts[1],
    }


@click.command(help=__doc__)
@click.option("--list", "names", default=",".join(name for name, _ in CASES), help="Rewrites, separated by commas.")
@click.option("--rounds", default=20, show_default=True)
@click.option("--core", type=int, default=(os.cpu_count() or 1) - 1, show_default=True, help="Core to pin to.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(names: str, rounds: int, core: int, out: Path | None) -> None:
    pin(core)
    rows = []
    for name in names.split(","):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(name, dict(CASES)[name], Path(folder), rounds))
        click.echo(f"{name}: {rows[-1]['ratio']:.3f}", err=True)
    shown = [
        (
            row["rewrite"],
            row["backbone"],
            f"{row['without_ms']:.2f}",
            f"{row['with_ms']:.2f}",
            f"{row['ratio']:.3f}",
            f"{row['ratio_25']:.3f}-{row['ratio_75']:.3f}",
            str(row["partitions_without"]),
            str(row["partitions_with"]),
        )
        for row in rows
    ]
    table(f"Gain of each rewrite, ExecuTorch with XNNPACK, 1 thread, core {core}", COLUMNS, shown, right=COLUMNS[2:])
    if out is not None:
        out.write_text(json.dumps({"rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
