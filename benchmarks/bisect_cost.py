"""What `edgekit parity --bisect` costs: its time, and its memory beside the tensors of the model that it matched.

Memory is the peak of the process while it compares tensors, less what it held before. Linux only.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from edgekit.bisect import BisectRequest, bisect_artifact
from edgekit.support.progress import Silent, Tick

TIMES, SECONDS = 4, 60  # the limits: of the model's tensors, and of CPU time
FLOAT = 4  # bytes


def memory(field: str) -> int:
    (found,) = re.findall(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return 1024 * int(found)


class Watch(Silent):
    """Notes what the process holds before tensors are compared, and lets its peak begin there."""

    before = 0

    @contextmanager
    def stage(self, title: str) -> Iterator[Tick]:
        if title.startswith("compare the tensors"):
            Path("/proc/self/clear_refs").write_text("5")
            self.before = memory("VmRSS")
        with super().stage(title) as tick:
            yield tick


@click.command(help=__doc__)
@click.argument("artifact", type=click.Path(exists=True, path_type=Path))
@click.option("--against", "model", default="models/catalog-vit-tiny.toml", show_default=True)
def main(artifact: Path, model: str) -> None:
    watch, start, before = Watch(), time.perf_counter(), time.process_time()
    report = bisect_artifact(BisectRequest(artifact=artifact, recipe=model), watch)
    seconds, busy = time.perf_counter() - start, time.process_time() - before
    grown = memory("VmHWM") - watch.before
    own = FLOAT * sum(math.prod(step.shape) for step in report.steps)
    click.echo(
        f"{report.format} {report.precision}: {seconds:.0f} s, {busy:.0f} s of CPU time; {len(report.steps)} of "
        f"{report.seen} tensors matched, {sum(step.jump for step in report.steps)} jumps; {grown / 1e6:.0f} MB, "
        f"{grown / own:.1f} times the model's {own / 1e6:.0f} MB"
    )
    raise SystemExit(grown > TIMES * own or busy > SECONDS)


if __name__ == "__main__":
    main()
