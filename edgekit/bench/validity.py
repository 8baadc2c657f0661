"""Whether a result may be compared with others."""

from __future__ import annotations

from edgekit.bench.schema import Reason, Result, Validity
from edgekit.bench.statistics import DRIFT, drift

__all__ = ["judge"]

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
    found: dict[Reason, bool] = {
        "emulated": result.device.emulated is True,
        "wrong-output": not result.check.passed,
        "few-samples": len(result.latency_ms.samples) < result.protocol.min_iterations,
        "throttled": rose or (slower is not None and slower > DRIFT),
        "hot": (before.thermal_status or 0) >= _HOT,
        "low-battery": before.battery_pct is not None and before.battery_pct < _LOW_BATTERY and not before.charging,
        "low-power": before.low_power is True or after.low_power is True,
        "background": background is True,
    }
    reasons = tuple(reason for reason, holds in found.items() if holds)
    return result.model_copy(update={"validity": Validity(valid=not reasons, reasons=reasons)})
