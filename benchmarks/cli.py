"""How long the command line itself takes: `edgekit --help`, and one image through `edgekit run` beside its runtime.

`run` is compared with the least program that does the same with the runtime alone: import it, load the file, run once.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from edgekit.support.progress import table

EDGEKIT = str(Path(sys.executable).with_name("edgekit"))
BARE = {
    ".onnx": "import onnxruntime, numpy; s = onnxruntime.InferenceSession(sys.argv[1]);"
    "s.run(None, {'image': numpy.zeros((1, 3, 224, 224), 'float32')})",
    ".pte": "import torch; from executorch.runtime import Runtime;"
    "m = Runtime.get().load_program(sys.argv[1]).load_method('forward'); m.execute([torch.zeros(1, 3, 224, 224)])",
    ".mlpackage": "import coremltools; coremltools.models.utils.load_spec(sys.argv[1]); import torch",
}


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


@click.command(help=__doc__)
@click.option("--rounds", default=7, show_default=True)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(rounds: int, out: Path | None) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        subprocess.run(
            [EDGEKIT, "export", "--target", "all", "--out", scratch, "--quiet"], check=True, capture_output=True
        )
        subprocess.run(
            [EDGEKIT, "catalog", str(folder / "photos"), "--listings", "1", "--quiet"], check=True, capture_output=True
        )
        photo = str(next((folder / "photos").rglob("*.png")))
        commands = {"edgekit --help": [EDGEKIT, "--help"]}
        for artifact in sorted(p for p in folder.glob("*/*") if p.suffix in BARE):
            commands[f"edgekit run {artifact.suffix}"] = [EDGEKIT, "run", str(artifact), photo, "--quiet"]
            commands[f"runtime alone {artifact.suffix}"] = [
                sys.executable,
                "-c",
                "import sys;" + BARE[artifact.suffix],
                str(artifact),
            ]
        found: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                found[name].append(seconds(command))
    medians = {name: statistics.median(values) for name, values in found.items()}
    rows = [(name, f"{value:.3f}", f"{min(found[name]):.3f}") for name, value in medians.items()]
    table(
        f"Wall time of {rounds} interleaved rounds", ("command", "median s", "min s"), rows, right=("median s", "min s")
    )
    if out is not None:
        out.write_text(json.dumps({"median_s": medians, "samples_s": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
