"""Whether one result is slower than another, whether a release may go out, and both as cells of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.bench.schema import Result
from edgekit.errors import RegressionError, UsageError
from edgekit.metrics.statistics import FEWEST, Ratio, ratio_of
from edgekit.support.text import human_size

__all__ = ["DIFFERENCE", "RESULT", "Difference", "Gate", "difference", "differences_of_turns", "gate", "result_cells"]

RESULT = ("model", "format", "on", "size", "load ms", "first ms", "p50 ms", "p90 ms", "p99 ms", "memory")
DIFFERENCE = ("new", "base", "on", "p50 new", "p50 base", "ratio", "95 % interval", "verdict", "not the same")


@dataclass(frozen=True)
class Difference:
    """One result beside another: how their latencies stand to each other, and what else is not the same."""

    new: Result
    base: Result
    ratio: Ratio
    unlike: Sequence[str]

    @property
    def verdict(self) -> str:
        """The ratio in words."""
        if not self.ratio.shows_difference:
            return "no difference shown"
        share = abs(self.ratio.value - 1)
        return f"{share:.1%} {'slower' if self.ratio.value > 1 else 'faster'}"

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells below DIFFERENCE."""
        new, base, ratio = self.new, self.base, self.ratio
        p50s = (_milliseconds(new.latency_ms.p50), _milliseconds(base.latency_ms.p50))
        interval, unlike = f"{ratio.low:.3f} to {ratio.high:.3f}", ", ".join(self.unlike) or "-"
        return (new.label, base.label, new.place, *p50s, f"{ratio.value:.3f}", interval, self.verdict, unlike)


@dataclass(frozen=True)
class Gate:
    """What could be compared, each result that keeps the gate closed with the reasons, and baselines of the same models
    that nothing was compared with: of a phone that was not measured again, perhaps."""

    judged: int
    differences: Sequence[Difference]
    failures: Sequence[tuple[Result, Sequence[str]]]
    left: Sequence[Result]

    @property
    def error(self) -> RegressionError | None:
        """None where the gate is open."""
        if not self.failures:
            return None
        each = "; ".join(f"{result.where}: {', '.join(reasons)}" for result, reasons in self.failures)
        return RegressionError(f"{len(self.failures)} of {self.judged} results fail: {each}")


def difference(new: Result, base: Result) -> Difference:
    """Compare two results; UsageError where one has too few samples, or its samples took no time at all."""
    for result in (new, base):
        if why := _incomparable(result):
            raise UsageError(f"{result.label}: {why}")
    over, under = new.latency_ms.samples, base.latency_ms.samples
    return Difference(new, base, ratio_of(over, under, paired=_took_turns(new, base)), _unlike(new, base))


def differences_of_turns(results: Sequence[Result]) -> list[Difference]:
    """Each result beside the first of those that it took turns with, where both have enough samples."""
    differences = []
    for index, new in enumerate(results):
        base = next((base for base in results[:index] if _took_turns(new, base)), None)
        if base is not None and not _incomparable(new) and not _incomparable(base):
            differences.append(difference(new, base))
    return differences


def gate(news: Sequence[Result], bases: Sequence[Result], fail_above: float) -> Gate:
    """Compare each of `news` with one of `bases` of the same model name, format, precision and size that was measured
    in the same way on the same kind of device, or on the very same one where serial numbers tell.

    It is the latest of another file, or the latest of the same file if that is faster. None is its own baseline; of two
    that began at once, the faster one counts.

    Args:
        fail_above: the share by which a median may be slower.
    """
    own = {_identity(new) for new in news}
    others = [base for base in bases if _identity(base) not in own]
    differences, failures = [], []
    for new in news:
        base = _baseline(new, others)
        reasons = _faults("it", new, " into another folder")
        if base is None:
            known = new.device.model or new.device.soc
            reasons.append("no baseline that was measured so on such a device" if known else "its device is unknown")
        else:
            reasons += _faults("its baseline", base, "")
            if not _incomparable(new) and not _incomparable(base):
                slower = difference(new, base)
                differences.append(slower)
                if slower.ratio.value > 1 + fail_above and slower.ratio.shows_difference:
                    reasons.append(f"{slower.verdict}, more than {fail_above:.1%}")
        if reasons:
            failures.append((new, reasons))
    models = {_model(new) for new in news}
    compared = [*news, *(row.base for row in differences)]
    measured = {(_key(result), result.device.serial_sha256) for result in compared}
    left = [
        base for base in others if _model(base) in models and (_key(base), base.device.serial_sha256) not in measured
    ]
    return Gate(len(news), differences, failures, left)


def _faults(what: str, result: Result, where: str) -> list[str]:
    faults = []
    if not result.validity.valid:
        faults.append(f"{what} is not valid ({', '.join(result.validity.reasons)}); measure again{where}")
    if why := _incomparable(result):
        faults.append(f"{what} has {why}")
    return faults


def _baseline(new: Result, bases: Sequence[Result]) -> Result | None:
    if not (new.device.model or new.device.soc):
        return None  # nobody knows what it was measured on
    alike = [base for base in bases if _key(base) == _key(new)]
    serial = new.device.serial_sha256
    alike = [base for base in alike if serial is not None and base.device.serial_sha256 == serial] or alike
    latest = []
    for same in (True, False):
        of_file = [base for base in alike if (base.model.sha256 == new.model.sha256) is same]
        latest += [max(of_file, key=lambda base: (base.started, -_p50(base)))] if of_file else []
    return min(latest, key=_p50, default=None)


def _p50(result: Result) -> float:
    return result.latency_ms.p50 or 0.0


def _identity(result: Result) -> tuple[object, ...]:
    """Of one measurement, whatever an import adds to it."""
    return (result.run_id, result.model.sha256, result.latency_ms.samples)


def _incomparable(result: Result) -> str | None:
    """Why nothing can be said of it."""
    samples = result.latency_ms.samples
    if len(samples) < FEWEST:
        return f"{len(samples)} samples, of which {FEWEST} are needed to compare; measure longer"
    return None if result.latency_ms.p50 else "samples that took no time at all"


def _took_turns(new: Result, base: Result) -> bool:
    together = new.run_id == base.run_id and base.model.sha256 in new.protocol.interleaved_with
    return together and len(new.latency_ms.samples) == len(base.latency_ms.samples)


def _key(result: Result) -> tuple[object, ...]:
    """What a baseline must share."""
    return (*_model(result), *_means(result).values(), *_machine(result))


def _model(result: Result) -> tuple[object, ...]:
    model = result.model
    return (model.name, model.format, model.precision, model.input)


def _means(result: Result) -> dict[str, object]:
    """What measured, and how: on iPhones the backend is what the compute units ask for."""
    runtime = result.runtime
    return {"runner": result.tool.runner, "backend": runtime.backend, "threads": runtime.threads}


def _machine(result: Result) -> tuple[object, ...]:
    """The kind of device. A host has no model name: its chip and number of cores help to tell machines apart."""
    device = result.device
    if device.model:
        return (device.platform, device.model)
    return (device.platform, device.soc, device.abi, None if device.cores is None else len(device.cores))


def _unlike(new: Result, base: Result) -> list[str]:
    def rows(result: Result) -> dict[str, object]:
        return {
            "model": result.model.sha256,
            "precision": result.model.precision,
            "input": result.model.input,
            "device": _machine(result),
            "serial": result.device.serial_sha256,
            "system": result.device.os,
            "runtime": (result.runtime.name, result.runtime.version),
            **_means(result),
            "cores": result.runtime.cores,
            "run": result.run_id,
        }

    return [name for name, value in rows(new).items() if value != rows(base)[name]]


def result_cells(result: Result) -> tuple[str, ...]:
    """The cells below RESULT."""
    model, latency = result.model, result.latency_ms
    times = (latency.cold_load, latency.first, latency.p50, latency.p90, latency.p99)
    size, memory = human_size(model.bytes), result.memory_bytes.line
    return (model.name, model.kind, result.place, size, *map(_milliseconds, times), memory)


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
