"""Whether a result may be compared with others."""

from __future__ import annotations

from edgekit.bench.golden import TOLERANCE
from edgekit.bench.results.latency import drift, summarize_measured
from edgekit.bench.schema import Reason, Result, Validity
from edgekit.metrics.statistics import DRIFT

__all__ = ["judge", "judge_anew"]

_LOW_BATTERY = 20.0  # percent, below which phones save power
_HOT = 2  # thermal status "moderate"


def judge(result: Result, *, background: bool | None = None) -> Result:
    """The same result with its verdict, from what it says of the device, the samples and the outputs.

    Args:
        background: whether the app was not in front, where a runner knows.
    """
    before, after = result.state.before, result.state.after
    slower = drift(result.latency_ms)
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
