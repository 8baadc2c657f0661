"""Whether one result is slower than another, and whether a release may go out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.bench.results import digest_of
from edgekit.bench.schema import Result
from edgekit.bench.statistics import FEWEST, Ratio, ratio_of
from edgekit.errors import RegressionError, UsageError

__all__ = ["Difference", "Gate", "difference", "differences_of_turns", "gate"]


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


@dataclass(frozen=True)
class Gate:
    """What could be compared, and each result that keeps the gate closed with the reasons."""

    differences: Sequence[Difference]
    failures: Sequence[tuple[Result, Sequence[str]]]
    judged: int

    @property
    def error(self) -> RegressionError | None:
        """None where the gate is open."""
        if not self.failures:
            return None
        told = "; ".join(f"{result.label}: {', '.join(reasons)}" for result, reasons in self.failures)
        return RegressionError(f"{len(self.failures)} of {self.judged} results fail: {told}")


def difference(new: Result, base: Result) -> Difference:
    """Compare two results.

    Raises:
        UsageError: one of them has too few samples, or they took no time at all.
    """
    for one in (new, base):
        if why := _incomparable(one):
            raise UsageError(f"{one.label}: {why}")
    over, under = new.latency_ms.samples, base.latency_ms.samples
    return Difference(new, base, ratio_of(over, under, paired=_took_turns(new, base)), _unlike(new, base))


def differences_of_turns(found: Sequence[Result]) -> list[Difference]:
    """Each result beside the first of those that it took turns with, where both have enough samples."""
    pairs = [
        (new, next((base for base in found[:index] if _took_turns(new, base)), None)) for index, new in enumerate(found)
    ]
    return [
        difference(new, base)
        for new, base in pairs
        if base is not None and not _incomparable(new) and not _incomparable(base)
    ]


def gate(news: Sequence[Result], bases: Sequence[Result], fail_above: float) -> Gate:
    """Compare each of `news` with the latest of `bases` of the same model name, format and precision that was measured
    in the same way on the same kind of device: on the very same one, where serial numbers tell. None is its own
    baseline; of two that began at once, the faster one is taken.

    Args:
        fail_above: the share by which a median may be slower.
    """
    own = {digest_of(new) for new in news}
    others = [base for base in bases if digest_of(base) not in own]
    differences, failures = [], []
    for new in news:
        base, reasons = _baseline(new, others), []
        if base is None:
            reasons.append("no baseline that was measured so on such a device")
        for what, one in (("it", new), ("its baseline", base)):
            if one is not None and not one.validity.valid:
                reasons.append(f"{what} is not valid ({', '.join(one.validity.reasons)}); measure into another folder")
            if one is not None and (why := _incomparable(one)):
                reasons.append(f"{what} has {why}")
        if base is not None and not _incomparable(new) and not _incomparable(base):
            differences.append(difference(new, base))
            if differences[-1].ratio.value > 1 + fail_above and differences[-1].ratio.shows_difference:
                reasons.append(f"{differences[-1].verdict}, more than {fail_above:.1%}")
        if reasons:
            failures.append((new, reasons))
    return Gate(differences, failures, len(news))


def _baseline(new: Result, bases: Sequence[Result]) -> Result | None:
    if new.device.model is None and new.device.soc is None:
        return None  # nobody knows what it was measured on
    alike = [base for base in bases if _key(base) == _key(new)]
    serial = _serial(new)
    same = [base for base in alike if serial is not None and _serial(base) == serial]
    return max(same or alike, key=lambda one: (one.started_utc, -(one.latency_ms.p50 or 0)), default=None)


def _serial(result: Result) -> str | None:
    return None if result.device.lab is None else result.device.lab.serial_sha256


def _incomparable(result: Result) -> str | None:
    """Why nothing can be said of it."""
    samples = result.latency_ms.samples
    if len(samples) < FEWEST:
        return f"{len(samples)} samples, of which {FEWEST} are needed to compare; measure longer"
    return None if any(samples) else "samples that took no time at all"


def _took_turns(new: Result, base: Result) -> bool:
    together = new.run_id == base.run_id and base.model.sha256 in new.protocol.interleaved_with
    return together and len(new.latency_ms.samples) == len(base.latency_ms.samples)


def _key(result: Result) -> tuple[object, ...]:
    """What a baseline must share."""
    model = result.model
    return (model.name, model.format, model.precision, *_means(result).values(), _machine(result))


def _means(result: Result) -> dict[str, object]:
    """What measured, and how: a Core ML model's backend is its compute units."""
    runtime = result.runtime
    return {"runner": result.tool.runner, "backend": runtime.backend, "threads": runtime.threads}


def _machine(result: Result) -> tuple[object, ...]:
    """The kind of device. Hosts have no model name: there the number of cores helps to tell machines apart."""
    device = result.device
    return (device.platform, device.model, device.soc, device.abi, None if device.cores is None else len(device.cores))


def _unlike(new: Result, base: Result) -> list[str]:
    def rows(one: Result) -> dict[str, object]:
        return {
            "model": one.model.sha256,
            "precision": one.model.precision,
            "device": _machine(one),
            "system": one.device.os,
            "runtime": (one.runtime.name, one.runtime.version),
            **_means(one),
            "cores": one.runtime.cores,
            "input": one.model.input,
            "run": one.run_id,
        }

    return [name for name, value in rows(new).items() if value != rows(base)[name]]
