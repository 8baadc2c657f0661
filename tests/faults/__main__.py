"""Strike each command with each fault at random moments, and print what is left: `python -m tests.faults`.

It mounts a small disk in memory, so it is run as root, or below `unshare --map-root-user --mount`. A moment is drawn
evenly over the time that the command takes undisturbed, its imports not counted; half of the runs replace an older
result. Struck: the command was still running. Survived: exit code as documented, no traceback, what is published is the
old result, the new one, whole, or nothing, and the same command once more gives the new one, byte for byte as far as
undisturbed runs agree. Left behind: temporary files that are there after that.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import zlib
from pathlib import Path

import click

from edgekit.support.progress import table
from tests import warm
from tests.faults.commands import COMMANDS, make_material
from tests.faults.disk import mounted
from tests.faults.inject import FAULTS, Bench

IMPORTED = (
    "OpenSSL", "cyclonedx.output.json", "cyclonedx.validation.json", "edgekit.embedding.run",
    "edgekit.evaluation.retrieval_page", "edgekit.release.package", "faiss", "jsonschema", "matplotlib.pyplot",
    "model_signing.signing", "pyarrow.parquet", "rich.live", "rich.table", "statsmodels.api", "tests.faults.inject",
    "tomli_w", "torch.utils.tensorboard", "zstandard",
)  # fmt: skip
COLUMNS = ("command", "fault", "seconds", "injected", "struck", "survived", "left behind")


@click.command(help=__doc__)
@click.option("--moments", default=50, show_default=True, help="Of each fault in each command.")
@click.option("--command", "commands", multiple=True, type=click.Choice(list(COMMANDS)), help="Only this; repeatable.")
@click.option("--fault", "faults", multiple=True, type=click.Choice(list(FAULTS)), help="Only this; repeatable.")
@click.option("--seed", default=18, show_default=True)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(moments: int, commands: tuple[str, ...], faults: tuple[str, ...], seed: int, out: Path | None) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    warm.preload(*IMPORTED)
    rows, bad = [], 0
    with tempfile.TemporaryDirectory(prefix="faults-") as scratch:
        material = make_material(Path(scratch) / "material")
        with mounted(Path(scratch) / "disk", 96) as disk:
            for name in commands or COMMANDS:
                bench = Bench(COMMANDS[name], material, disk)
                for fault in faults or FAULTS:
                    dice = random.Random(zlib.crc32(f"{seed} {name} {fault}".encode()))
                    outcomes = []
                    for number in range(moments):
                        moment = dice.uniform(0, bench.seconds)
                        outcomes.append(bench.injected(FAULTS[fault], moment, replacing=number % 2 == 1))
                        for line in [*outcomes[-1].faults, *outcomes[-1].left]:
                            click.echo(f"{name}, {fault} after {moment:.3f} s: {line}", err=True)
                    survived, left = sum(not one.faults for one in outcomes), sum(len(one.left) for one in outcomes)
                    struck = sum(one.struck for one in outcomes)
                    rows.append((name, fault, f"{bench.seconds:.2f}", moments, struck, survived, left))
                    bad += moments - survived + left
                    click.echo(" ".join(map(str, rows[-1])), err=True)
    table(f"Faults at {moments} moments each", COLUMNS, [tuple(map(str, row)) for row in rows], right=COLUMNS[2:])
    if out is not None:
        out.write_text(json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows], indent=2) + "\n")
    raise SystemExit(bool(bad))


if __name__ == "__main__":
    main()
