"""Did quantizing pay? The planned file beside its float forms: size, latency on this host, accuracy, and a verdict."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit.artifact.manifest import Payoff, PayoffForm
from edgekit.parity.report import ParityReport
from edgekit.support.files import size_of
from edgekit.targets import Runner

__all__ = ["Candidate", "pay", "verdict"]

_ROUNDS, _WARMUP = 15, 2
_LEVEL = 0.05  # a ratio nearer to 1 than this says nothing on a machine that does other things too


@dataclass(frozen=True)
class Candidate:
    """One form of the model, written and checked."""

    path: Path
    runner: Runner
    report: ParityReport


def pay(candidates: Mapping[str, Candidate]) -> Payoff:
    """The figures of each form and what they come to; the planned form is the last one."""
    times = _latencies({precision: candidate.runner for precision, candidate in candidates.items()})
    forms = [_form(precision, candidate, times[precision]) for precision, candidate in candidates.items()]
    return Payoff(forms=forms, verdict=verdict(forms))


def _form(precision: str, candidate: Candidate, median_ms: float | None) -> PayoffForm:
    drops: dict[str, float] = {}
    report = candidate.report
    retrieval = report.retrieval
    if retrieval is not None:
        original = retrieval.original.at_10
        if retrieval.artifact is not None:
            drops["recall_drop"] = round(100 * (original - retrieval.artifact.at_10), 6)
        drops["mixed_drop"] = round(100 * (original - retrieval.mixed.at_10), 6)
    return PayoffForm(
        precision=precision,
        bytes=size_of(candidate.path),
        median_ms=median_ms,
        min_cosine=report.min_cosine,
        mean_cosine=report.mean_cosine,
        **drops,
    )


def _latencies(runners: Mapping[str, Runner]) -> dict[str, float | None]:
    """Median milliseconds of one image by each runner, turn by turn in this process; None for a stand-in runtime.

    CPU time of one thread: what else the machine does at the moment is not counted.
    """
    timed = {name: runner for name, runner in runners.items() if not runner.reference}
    took: dict[str, list[float]] = {name: [] for name in timed}
    rng = np.random.default_rng(0)
    for turn in range(_ROUNDS + _WARMUP):
        for name in list(timed) if turn % 2 == 0 else reversed(list(timed)):
            image = rng.integers(0, 256, (1, *timed[name].input_size, 3), dtype=np.uint8)
            started = time.thread_time()
            timed[name].embed(image)
            took[name].append(1e3 * (time.thread_time() - started))
    return {name: statistics.median(took[name][_WARMUP:]) if name in took else None for name in runners}


def verdict(forms: list[PayoffForm]) -> str:
    """What the figures say, in words. The planned form is the last one."""
    *floats, planned = forms
    gains = [f"{form.bytes / planned.bytes:.1f} times smaller than {form.precision}" for form in floats]
    slower = []
    for form in floats:
        if form.median_ms is None or planned.median_ms is None:
            continue
        ratio = planned.median_ms / form.median_ms
        if ratio > 1 + _LEVEL:
            slower.append(f"slower than {form.precision} here ({ratio:.2f} of its time)")
        elif ratio < 1 - _LEVEL:
            gains.append(f"{1 / ratio:.1f} times faster than {form.precision} here")
        else:
            gains.append(f"no faster than {form.precision} here")
    if planned.median_ms is None:
        gains.append("not timed: this host does not have the phone's runtime")
    drop = max(planned.recall_drop or 0.0, planned.mixed_drop or 0.0)
    if planned.min_cosine is not None:
        lost = "no recall@10 lost" if drop <= 0 else f"{drop:.2f} points of recall@10 lost"
        gains.append(f"min cosine {planned.min_cosine:.4f}, {lost}")
    if slower:
        return f"does not pay in time: {'; '.join([*slower, *gains])}; this host is not the phone"
    return "; ".join(gains)
