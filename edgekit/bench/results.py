"""A folder of result files is the data base: write one, find all, say which of two can be compared, and compare."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.bench.schema import Result, read_result
from edgekit.bench.statistics import Ratio, ratio_of
from edgekit.errors import InputError, OutputError, RegressionError, UsageError
from edgekit.files import write_atomically

__all__ = ["Difference", "difference", "differences_of_turns", "digest_of", "find_results", "gate", "save"]

_SUFFIX = ".bench.json"


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


def save(results: Iterable[Result], folder: Path) -> list[Path]:
    """Write each result as a file of its own into `folder`; names are made from what is in it, safe everywhere.

    A result that is there already is written to the same file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); give another --out") from error
    paths = []
    for result in results:
        name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in result.model.name)[:80]
        stamp = result.started_utc.replace(":", "").replace("-", "")
        path = folder / f"{stamp}-{name}-{result.model.format}-{result.run_id[:8]}-{digest_of(result)[:8]}{_SUFFIX}"
        _write(path, result.to_json())
        paths.append(path)
    return paths


def digest_of(result: Result) -> str:
    """SHA-256 (hex) of all that it says."""
    return hashlib.sha256(result.to_json().encode()).hexdigest()


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def find_results(paths: Sequence[Path]) -> list[Result]:
    """Every result in files and folders, oldest first.

    Raises:
        InputError: there is none, or a file cannot be read.
    """
    files: list[Path] = []
    for path in paths:
        files += sorted(path.rglob(f"*{_SUFFIX}")) if path.is_dir() else [path]
    if not files:
        raise InputError(
            f"{', '.join(map(str, paths))}: no {_SUFFIX} file; `edgekit bench ARTIFACT --out DIR` writes some"
        )
    return sorted(map(read_result, sorted(files, key=str)), key=lambda result: result.started_utc)


def difference(new: Result, base: Result) -> Difference:
    """Compare two results.

    Raises:
        UsageError: one of them has no samples.
    """
    if not new.latency_ms.samples or not base.latency_ms.samples:
        raise UsageError("a result without samples cannot be compared")
    one, other = new.latency_ms.samples, base.latency_ms.samples
    ratio = ratio_of(one, other, paired=_took_turns(new, base) and len(one) == len(other))
    return Difference(new, base, ratio, _unlike(new, base))


def differences_of_turns(found: Sequence[Result]) -> list[Difference]:
    """Each result beside the first of those that it took turns with."""
    pairs = [
        (new, next((base for base in found[:index] if _took_turns(new, base)), None)) for index, new in enumerate(found)
    ]
    return [difference(new, base) for new, base in pairs if base is not None]


def _took_turns(new: Result, base: Result) -> bool:
    return new.run_id == base.run_id and base.model.sha256 in new.protocol.interleaved_with


def gate(
    news: Sequence[Result], bases: Sequence[Result], fail_above: float
) -> tuple[list[Difference], RegressionError | None]:
    """Compare each of `news` with the latest of `bases` of the same model name, format, device and threads.

    Args:
        fail_above: the share by which a median may be slower.

    Returns:
        What could be compared, and why the gate is closed: one is slower by more, is not valid, or has nothing to be
        compared with.
    """
    found, missed = [], []
    for new in news:
        same = [base for base in bases if _key(base) == _key(new)]
        label = f"{new.model.name} ({new.model.format})"
        if not same:
            missed.append(f"{label} has no baseline on this device")
            continue
        one = difference(new, max(same, key=lambda base: base.started_utc))
        found.append(one)
        for what, own in (("it", new), ("its baseline", one.base)):
            if not own.validity.valid:
                missed.append(f"{label}: {what} is not valid ({', '.join(own.validity.reasons)}); measure it again")
        if one.ratio.value > 1 + fail_above and one.ratio.shows_difference:
            missed.append(f"{label} is {one.verdict}, more than {fail_above:.1%}")
    told = f"{len(missed)} of {len(news)} results fail: {'; '.join(missed)}"
    return found, RegressionError(told) if missed else None


def _key(result: Result) -> tuple[object, ...]:
    device, runtime = result.device, result.runtime
    return (result.model.name, result.model.format, device.platform, device.model, device.soc, runtime.threads)


def _unlike(new: Result, base: Result) -> list[str]:
    rows = {
        "model": (new.model.sha256, base.model.sha256),
        "device": ((new.device.model, new.device.soc), (base.device.model, base.device.soc)),
        "system": (new.device.os, base.device.os),
        "runtime": ((new.runtime.name, new.runtime.version), (base.runtime.name, base.runtime.version)),
        "threads": (new.runtime.threads, base.runtime.threads),
        "run": (new.run_id, base.run_id),
    }
    return [name for name, (one, other) in rows.items() if one != other]
