"""What a person sees of measurements; with `as_json`, what a machine reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.support.progress import table
from edgekit.support.text import human_size

if TYPE_CHECKING:
    from edgekit.bench.drivers.base import Outcome
    from edgekit.bench.profile import Operator
    from edgekit.bench.results.compare import Difference, Gate
    from edgekit.bench.schema import Result

__all__ = [
    "DIFFERENCE",
    "difference_row",
    "milliseconds",
    "show_differences",
    "show_emitted",
    "show_profiles",
    "show_results",
]

_SHOWN = 15  # operators
_COLUMNS = (
    "model", "format", "on", "size", "load ms", "first ms", "p50 ms", "p90", "p99", "memory", "check", "valid",
)  # fmt: skip
_SPARE = ("size", "first ms", "memory", "load ms", "p90", "check", "p99")  # left out in turn where a terminal is narrow
DIFFERENCE = ("new", "base", "on", "p50 new", "p50 base", "ratio", "95 % interval", "verdict", "not the same")


def show_results(
    results: Sequence[Result],
    written: Sequence[Path],
    planned: Sequence[Outcome] = (),
    differences: Sequence[Difference] = (),
    *,
    as_json: bool,
) -> None:
    """One row a result, then how they differ, then where Core ML means to run each operator, then the files."""
    if as_json:
        rows = [result.model_dump(mode="json") for result in results]
        told = [one.plan.model_dump(mode="json") for one in planned if one.plan is not None]
        whole = {
            "results": rows,
            "differences": [_told(one) for one in differences],
            "plans": told,
            "files": [str(path) for path in written],
        }
        click.echo(json.dumps(whole, indent=2))
        return
    table("Latency", _COLUMNS, [_row(result) for result in results], right=_COLUMNS[3:10], spare=_SPARE)
    if differences:
        _show_differences("Difference, round by round", differences)
    if planned:
        places = ("neuralEngine", "gpu", "cpu")
        table(
            "Operators, by the device that Core ML prefers",
            ("model", "on", "compute units", *places),
            [
                (
                    one.result.model.name,
                    one.result.device.label,
                    one.plan.compute_units,
                    *(str(one.plan.per_device.get(place, 0)) for place in places),
                )
                for one in planned
                if one.plan is not None and one.result is not None
            ],
            right=places,
        )
    for path in written:
        click.echo(path)


def show_emitted(written: Sequence[Path], *, as_json: bool) -> None:
    """The file that says how to go on, then all that goes with it."""
    if as_json:
        click.echo(json.dumps({"files": [str(path) for path in written]}, indent=2))
        return
    rows = [(str(path), human_size(path.stat().st_size)) for path in written]
    table("For the lab; the first file says how", ("file", "size"), rows, right=("size",))


def show_differences(
    found: Sequence[Difference], gate: Gate | None = None, written: Sequence[Path] = (), *, as_json: bool
) -> None:
    """One row a comparison, then the files; for a machine also what keeps the gate closed."""
    if as_json:
        told: dict[str, object] = {"differences": [_told(one) for one in found]}
        if gate is not None:
            failures = [{**_names(result), "reasons": list(reasons)} for result, reasons in gate.failures]
            told |= {"passed": gate.error is None, "failures": failures, "files": [str(path) for path in written]}
        click.echo(json.dumps(told, indent=2))
        return
    _show_differences("Difference", found)
    for path in written:
        click.echo(path)


def _show_differences(title: str, found: Sequence[Difference]) -> None:
    table(
        title, DIFFERENCE, [difference_row(one) for one in found], right=DIFFERENCE[3:7], spare=("p50 base", "p50 new")
    )


def difference_row(one: Difference) -> tuple[str, ...]:
    """The cells below DIFFERENCE."""
    return (
        one.new.label,
        one.base.label,
        one.new.place,
        milliseconds(one.new.latency_ms.p50),
        milliseconds(one.base.latency_ms.p50),
        f"{one.ratio.value:.3f}",
        f"{one.ratio.low:.3f} to {one.ratio.high:.3f}",
        one.verdict,
        ", ".join(one.unlike) or "-",
    )


def show_profiles(found: Mapping[Path, Sequence[Operator]], *, as_json: bool) -> None:
    """The slowest operators of each artifact."""
    if as_json:
        rows = [
            {"artifact": str(path), "operators": [vars(one) for one in operators]} for path, operators in found.items()
        ]
        click.echo(json.dumps({"profiles": rows}, indent=2))
        return
    for path, operators in found.items():
        whole = sum(one.ms for one in operators) or 1.0
        lines = [(one.name, one.kind, f"{one.ms:.3f}", f"{one.ms / whole:.1%}") for one in operators[:_SHOWN]]
        title = f"{path.name}: the slowest {len(lines)} of {len(operators)} operators"
        table(title, ("operator", "kind", "ms", "share"), lines, right=("ms", "share"))


def _told(one: Difference) -> dict[str, object]:
    return {
        "new": _names(one.new),
        "base": _names(one.base),
        "ratio": one.ratio.value,
        "low": one.ratio.low,
        "high": one.ratio.high,
        "verdict": one.verdict,
        "unlike": list(one.unlike),
    }


def _names(result: Result) -> dict[str, object]:
    """Which one it is, for a machine."""
    model = result.model
    return {
        "model": model.name,
        "format": model.format,
        "precision": model.precision,
        "sha256": model.sha256,
        "on": result.place,
        "serial_sha256": result.device.serial_sha256,
        "run_id": result.run_id,
    }


def _row(result: Result) -> tuple[str, ...]:
    latency, check = result.latency_ms, result.check
    return (
        result.model.name,
        result.model.kind,
        result.place,
        human_size(result.model.bytes),
        *(milliseconds(value) for value in (latency.cold_load, latency.first, latency.p50, latency.p90, latency.p99)),
        result.memory_bytes.told,
        "pass" if check.passed else "FAIL",
        result.validity.told,
    )


def milliseconds(value: float | None) -> str:
    """Milliseconds in a table."""
    return "-" if value is None else f"{value:.2f}"
