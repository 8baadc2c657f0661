"""What the self-check of rewrites adds to an export: its share of the wall time of `edgekit export`, imports included.

The check makes the probe (two photographs through the module) and runs each rewritten program on them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from edgekit.support.progress import table

MODELS = ("catalog-s0", "catalog-vit-tiny", "efficientnet_b0", "mobilevit_xs")
CHILD = """
import json, sys, time
started = time.perf_counter()
from edgekit import graph
from edgekit.model import build
from edgekit.graph import selfcheck
spent = 0.0

def timed(function):
    def run(*args, **options):
        global spent
        began = time.perf_counter()
        try:
            return function(*args, **options)
        finally:
            spent += time.perf_counter() - began
    return run

build.probe = timed(build.probe)
selfcheck.Probe.error = timed(selfcheck.Probe.error)
from edgekit.cli import cli
cli.main(["export", sys.argv[1], "--target", sys.argv[2], "--out", sys.argv[3], "--quiet"], standalone_mode=False)
json.dump({"check": spent, "export": time.perf_counter() - started}, sys.stderr)
"""


@click.command(help=__doc__)
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
@click.option("--target", "targets", multiple=True, default=("ios", "android", "onnx"), show_default=True)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(models: tuple[str, ...], targets: tuple[str, ...], out: Path | None) -> None:
    rows: list[dict[str, Any]] = []
    for model in models:
        for target in targets:
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-c", CHILD, model, target, folder]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stderr[done.stderr.rindex("{") :])
            rows.append({"model": model, "target": target, **found, "share": found["check"] / found["export"]})
            click.echo(f"{model} {target}: {100 * rows[-1]['share']:.1f} %", err=True)
    cells = [
        (
            row["model"],
            row["target"],
            f"{row['check']:.2f}",
            f"{row['export']:.1f}",
            f"{100 * row['share']:.1f}",
        )
        for row in rows
    ]
    table("The self-check's share", ("model", "target", "check, s", "export, s", "%"), cells)
    if out is not None:
        out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
