"""The sha256 of every file that EdgeKit writes for two bundled models, in every format and precision, with and without
a plan. Before and after a change that must not change what is written, on one machine:

    python benchmarks/unchanged.py --json before.json
    python benchmarks/unchanged.py --against before.json
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from edgekit.cli import cli

MODELS = ("catalog-s0", "catalog-vit-tiny")
SCHEMES = {
    "auto": ["--samples", "32"],
    "w8": ["--scheme", "w8"],
    "w8a8": ["--scheme", "w8a8", "--samples", "32"],
    "palette4": ["--scheme", "palette4", "--samples", "32"],
}
EXPORTS = {
    "float32": ["--target", "all", "--precision", "fp32"],
    "half": ["--target", "all", "--precision", "fp16", "--min-ios", "17"],
    "Core ML in ExecuTorch": ["--target", "ios", "--format", "executorch"],
    "any batch of bytes": ["--target", "onnx", "--dynamic-batch", "--input", "uint8"],
}
PLANNED = ["--target", "all", "--min-ios", "18", "--no-verify"]
FEW = ["--samples", "8", "--quiet"]


def runs() -> Iterator[tuple[str, list[str]]]:
    """What is written, by its folder, and the command line that writes it; plans come before what follows them."""
    for model in MODELS:
        for name, options in SCHEMES.items():
            yield f"{model}/plan {name}", ["quantize", model, *options, "--quiet", "--out"]
        for name, options in EXPORTS.items():
            yield f"{model}/{name}", ["export", model, *options, *FEW, "--out"]
        for name in SCHEMES:
            follow = ["--plan", f"{model}/plan {name}/plan.json"]
            yield f"{model}/by {name}", ["export", model, *PLANNED, *follow, *FEW, "--out"]


def sums(folder: Path) -> dict[str, str]:
    """The sha256 of every file under a folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@click.command(help=__doc__)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write the sums here.")
@click.option("--against", type=click.Path(path_type=Path, exists=True), help="Sums to compare with.")
@click.option("--only", default="", help="Only what has this in its name.")
def main(out: Path | None, against: Path | None, only: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, arguments in runs():
            if only in name:
                given = [str(folder / part) if part.endswith("plan.json") else part for part in arguments]
                cli.main([*given, str(folder / name)], standalone_mode=False)
                click.echo(name, err=True)
        found = sums(folder)
    if out is not None:
        out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    click.echo(f"{len(found)} files")
    if against is not None:
        before = {
            name: digest for name, digest in json.loads(against.read_text(encoding="utf-8")).items() if only in name
        }
        other = sorted(name for name in before.keys() | found.keys() if before.get(name) != found.get(name))
        for name in other:
            click.echo(f"{'gone' if name not in found else 'new' if name not in before else 'changed'}: {name}")
        raise SystemExit(1 if other else 0)


if __name__ == "__main__":
    main()
