"""Feed a parser in a process of its own, so that a crash, a hang or too much memory is a finding like another."""

from __future__ import annotations

import json
import os
import resource
import signal
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings

from edgekit.errors import EdgeKitError
from tests import warm
from tests.fuzz.mutate import mutated
from tests.fuzz.parsers import PARSERS, seeds_of
from tests.waiting import PATIENCE

__all__ = ["HANG", "Finding", "Report", "feed", "watched"]

HANG = 60  # seconds of CPU time for one input
_REPORT, _LAST = "report.json", "last"


class Finding(Exception):
    """What a parser must not do."""


@dataclass(frozen=True)
class Report:
    """How many inputs a parser got, the most memory that one of them took, and what was found, or None."""

    inputs: int
    refused: int
    mebibytes: float
    finding: str | None
    last: bytes  # the input that it was at; the smallest of its kind where Hypothesis found it


def feed(name: str, count: int) -> Report:
    """Replay the corpus of a parser, and give it `count` damaged files, always the same ones."""
    with tempfile.TemporaryDirectory() as place:
        process = warm.start(_work, name, count, place, OMP_NUM_THREADS="1")
        _, errors = process.communicate(timeout=PATIENCE * max(1, count / 1000))
        said, last = Path(place) / _REPORT, Path(place) / _LAST
        content: dict[str, Any] = json.loads(said.read_text()) if said.exists() else {}
        finding = content.get("finding")
        if process.returncode:
            code = process.returncode
            ended = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            finding = f"the process ended by {ended}: {errors.strip()[-300:]}"
        return Report(
            content.get("inputs", 0),
            content.get("refused", 0),
            content.get("mebibytes", 0.0),
            finding,
            last.read_bytes() if last.exists() else b"",
        )


def watched(name: str, data: bytes, last: Path) -> bool:
    """Give one input to a parser; whether it was refused. Raises Finding for anything else than EdgeKitError."""
    last.write_bytes(data)
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG)
    try:
        PARSERS[name](data)
    except EdgeKitError as error:
        if "\n" in str(error) or len(str(error)) > 2000:
            raise Finding(f"an error that is no one line: {str(error)[:300]!r}") from error
        return True
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise Finding("".join(traceback.format_exception(error)[-4:])[-1500:]) from error
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return False


def _work(name: str, count: int, place: str) -> None:
    """The body of the process: ends by SIGVTALRM where an input takes too long."""
    folder, parser = Path(place), PARSERS[name]
    tempfile.tempdir = None
    for seed in seeds_of(name):  # loads what it needs, so that only inputs count from here on
        watched(name, seed, folder / _LAST)
    said, taken = {"inputs": 0, "refused": 0}, 0
    grown = parser.mebibytes << 20
    resource.setrlimit(resource.RLIMIT_AS, (_resident("VmSize") + 4 * grown, resource.RLIM_INFINITY))

    @settings(
        max_examples=count, database=None, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(data=mutated(seeds_of(name)))
    def examples(data: bytes) -> None:
        nonlocal taken
        before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
        said["inputs"] += 1
        said["refused"] += watched(name, data, folder / _LAST)
        taken = max(taken, _resident("VmHWM") - before)

    finding = None
    try:
        if count:
            examples()
    except Finding as error:
        finding = str(error)
    if finding is None and taken > grown:
        finding = f"it took {taken >> 20} MiB, more than {parser.mebibytes}"
    (folder / _REPORT).write_text(json.dumps({**said, "mebibytes": taken / (1 << 20), "finding": finding}))
    os._exit(0)


def _resident(name: str) -> int:
    """A figure of this process's memory in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(value) << 10
