"""What follows from the samples of a result, and whether it may be compared with others."""

from __future__ import annotations

from edgekit.bench.golden import TOLERANCE
from edgekit.bench.schema import Latency, Reason, Result, Validity
from edgekit.metrics.statistics import DRIFT, drift_of, summary_of

__all__ = ["judge", "judge_anew", "summarize", "summarize_measured"]

_MEASURED = ("cold_load", "warm_load", "compile", "first", "samples")
_LOW_BATTERY = 20.0  # percent, below which phones save power
_HOT = 2  # thermal status "moderate"


def summarize(latency: Latency) -> Latency:
    """The same latency with all that follows from its samples; nothing does where there are none."""
    return latency.model_copy(update=summary_of(latency.samples)) if latency.samples else latency


def summarize_measured(latency: Latency) -> Latency:
    """The summary of what a device measured: the figures that it gives of its own samples are not taken over."""
    return summarize(Latency(**{name: getattr(latency, name) for name in _MEASURED}))


def judge(result: Result, *, background: bool | None = None) -> Result:
    """The result with its verdict, from what it says of itself; `background`: the app was not in front."""
    before, after = result.state.before, result.state.after
    slower = drift_of(result.latency_ms.first_decile_p50, result.latency_ms.last_decile_p50)
    cool, warm = before.thermal_status, after.thermal_status
    rose = cool is not None and warm is not None and warm > cool
    holds: dict[Reason, bool] = {
        "emulated": result.device.emulated is True,
        "wrong-output": not result.check.passed,
        "few-samples": len(result.latency_ms.samples) < result.protocol.min_iterations,
        "throttled": rose or (slower is not None and slower > DRIFT),
        "hot": (before.thermal_status or 0) >= _HOT,
        "low-battery": before.battery_pct is not None and before.battery_pct < _LOW_BATTERY and not before.charging,
        "low-power": before.low_power is True or after.low_power is True,
        "background": background is True,
    }
    reasons = tuple(reason for reason in holds if holds[reason])
    return result.model_copy(update={"validity": Validity(valid=not reasons, reasons=reasons)})


def judge_anew(result: Result) -> Result:
    """A result of a file as its samples, cosine and device say: its own figures and verdict do not count."""
    check, samples = result.check, result.latency_ms.samples
    near = check.min_cosine is not None and check.min_cosine >= TOLERANCE
    changes = {
        "check": check.model_copy(update={"passed": check.passed and near and check.images > 0}),
        "protocol": result.protocol.model_copy(update={"iterations": len(samples)}),
        "latency_ms": summarize_measured(result.latency_ms),
    }
    return judge(result.model_copy(update=changes), background="background" in result.validity.reasons)
