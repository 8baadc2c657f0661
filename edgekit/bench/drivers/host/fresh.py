"""A fresh process that opens one model and runs it once: cold load, first inference and memory, as JSON.

`python -m edgekit.bench.drivers.host.fresh FILE THREADS`: only the runtime's own import comes before the clock starts.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import ModelError
from edgekit.support.text import reason_of

__all__ = ["Fresh", "start"]

_PATIENCE = 300  # seconds


@dataclass(frozen=True)
class Fresh:
    """Milliseconds and bytes of one fresh process."""

    cold_load: float
    first: float
    loaded: int | None
    peak_rss: int | None


def start(path: Path, threads: int) -> Fresh:
    """Open and run `path` in a process of its own.

    Raises:
        ModelError: it failed there.
    """
    command = [sys.executable, "-m", "edgekit.bench.drivers.host.fresh", str(path.absolute()), str(threads)]
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


def _measure(path: Path, threads: int) -> Fresh:
    import numpy as np

    from edgekit import targets
    from edgekit.bench.drivers.host.machine import memory
    from edgekit.targets.common import quiet

    backend = targets.of(path).backend()
    with quiet(path.suffix):
        _import_runtime(path.suffix)
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


def _import_runtime(suffix: str) -> None:
    if suffix == ".pte":
        from edgekit.targets.executorch.runtime import bindings

        bindings()
    else:
        importlib.import_module({".onnx": "onnxruntime", ".mlpackage": "coremltools"}[suffix])


if __name__ == "__main__":
    print(json.dumps(vars(_measure(Path(sys.argv[1]), int(sys.argv[2])))))
