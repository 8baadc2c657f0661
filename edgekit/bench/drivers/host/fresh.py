"""A fresh process that opens one model and runs it once: cold load, first inference and memory, as JSON.

`python -m edgekit.bench.drivers.host.fresh FILE THREADS MODULE ENTRY`, the latter two of the target's row: only the
runtime's own import comes before the clock starts.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import ModelError
from edgekit.support.text import reason_of

if TYPE_CHECKING:
    from edgekit.targets import Target

__all__ = ["Fresh", "start"]

_PATIENCE = 300  # seconds


@dataclass(frozen=True)
class Fresh:
    """Milliseconds and bytes of one fresh process."""

    cold_load: float
    first: float
    loaded: int | None
    peak_rss: int | None


def start(path: Path, target: Target, threads: int) -> Fresh:
    """Open and run `path` in a process of its own; ModelError where it fails there."""
    command = [sys.executable, "-m", "edgekit.bench.drivers.host.fresh", str(path.absolute()), str(threads)]
    command += [target.module, target.runtime.entry]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{path}: does not run in a fresh process: {error}") from error
    try:
        return Fresh(**json.loads(done.stdout.splitlines()[-1]))
    except (ValueError, IndexError, TypeError) as error:
        last = " ".join(done.stderr.strip().splitlines()[-1:])
        reason = reason_of(RuntimeError(last) if last else error)
        raise ModelError(f"{path}: does not run in a fresh process: {reason}") from error


def _measure(path: Path, threads: int, module: str, entry: str) -> Fresh:
    import numpy as np

    from edgekit import targets
    from edgekit.bench.drivers.host.machine import memory
    from edgekit.support.quiet import quiet
    from edgekit.targets.base import load_runtime

    backend = importlib.import_module(module)
    with quiet(entry):
        load_runtime(entry)
    before, _ = memory()
    started = time.perf_counter()
    runner = targets.timed(backend.open(path, threads=threads))
    opened = time.perf_counter()
    ready = runner.ready(np.full((*runner.input_size, 3), 127, np.uint8))
    began = time.perf_counter()
    runner.run(ready)
    ended = time.perf_counter()
    now, most = memory()
    grown = None if now is None or before is None else max(0, now - before)
    return Fresh(round(1e3 * (opened - started), 6), round(1e3 * (ended - began), 6), grown, most)


if __name__ == "__main__":
    print(json.dumps(vars(_measure(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))))
