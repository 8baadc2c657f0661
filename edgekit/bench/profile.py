"""Where a file's time goes: its operators, slowest first, as each runtime's own profiler tells."""

from __future__ import annotations

import json
import re
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.artifact.open import open_artifact
from edgekit.errors import MissingDependencyError, UsageError
from edgekit.targets import timed

__all__ = ["Operator", "profile_ops"]

_RUNS = 20
_WARMUP = 3


@dataclass(frozen=True)
class Operator:
    """One operator of a file: its median milliseconds over some runs."""

    name: str
    kind: str
    ms: float


def profile_ops(path: Path, threads: int) -> list[Operator]:
    """An artifact's operators, slowest first; InputError where it cannot be opened, UsageError for other formats."""
    artifact = open_artifact(path, allow_bare=True)
    tool = _TOOLS.get(artifact.path.suffix)
    if tool is None:
        raise UsageError(
            f"{path}: this format cannot be profiled here; for a .mlpackage or .aimodel use Xcode's report"
        )
    runner = timed(artifact.runner)
    ready = runner.ready(np.full((*runner.input_size, 3), 127, np.uint8))
    return sorted(tool(artifact.path, ready, threads), key=lambda operator: -operator.ms)


def _onnx(path: Path, ready: Any, threads: int) -> list[Operator]:
    import onnxruntime as ort

    from edgekit.targets.onnx.session import session_options

    options = session_options(threads)
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for _ in range(_WARMUP + _RUNS):
            session.run(None, ready)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and str(event.get("name", "")).endswith("_kernel_time"):
            name = str(event["name"]).removesuffix("_kernel_time")
            times[name, str(event["args"].get("op_name", "?"))].append(event["dur"] / 1e3)
    return [Operator(name, kind, statistics.median(took[_WARMUP:])) for (name, kind), took in times.items()]


def _executorch(path: Path, ready: Any, threads: int) -> list[Operator]:
    from edgekit.support.quiet import quiet

    try:
        with quiet("executorch", native=True):
            from executorch.devtools import Inspector
            from executorch.extension.pybindings import portable_lib
    except ImportError as error:
        raise MissingDependencyError(f"{error}: run `pip install 'edgekit[executorch]'`") from error
    with quiet("executorch", native=True), tempfile.TemporaryDirectory() as folder:
        portable_lib._unsafe_reset_threadpool(threads)
        module = portable_lib._load_for_executorch(str(path), enable_etdump=True)
        for _ in range(_RUNS):
            module.forward((ready,))
        dump = Path(folder) / "profile.etdump"
        module.write_etdump_result_to_file(str(dump))
        blocks = Inspector(etdump_path=str(dump)).event_blocks
        events = [event for block in blocks if block.name == "Execute" for event in block.events]
        return [
            Operator(str(event.name), re.sub(r" #\d+$", "", str(event.name)), float(event.perf_data.p50))
            for event in events
            if event.perf_data is not None and (event.is_delegated_op or str(event.name).startswith("native_call"))
        ]


def _litert(path: Path, ready: Any, threads: int) -> list[Operator]:
    from edgekit.bench.profile_litert import times_of

    times = times_of(path, threads, _WARMUP, _RUNS)
    return [Operator(f"{kind} #{number}", kind, took / 1e3) for number, (kind, took) in enumerate(times, 1)]


_TOOLS: dict[str, Callable[[Path, Any, int], list[Operator]]] = {
    ".onnx": _onnx,
    ".pte": _executorch,
    ".tflite": _litert,
}
