"""What a person sees of measurements; with `as_json`, what a machine reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from edgekit.bench.drivers.base import Outcome
from edgekit.bench.drivers.ios.driver import IosOutcome
from edgekit.bench.parity.document import DeviceParity
from edgekit.bench.profile import Operator
from edgekit.bench.results.compare import DIFFERENCE, RESULT, Difference, Gate, result_cells
from edgekit.bench.schema import Result
from edgekit.cli.console import figure, print_json
from edgekit.support.progress import table
from edgekit.support.text import human_size, shown

__all__ = ["show_differences", "show_emitted", "show_parities", "show_profiles", "show_results"]

_SHOWN = 15  # operators
_COLUMNS = (*RESULT, "check", "valid")
_PLACES = ("neuralEngine", "gpu", "cpu")
_PARITY = (
    *("model", "on", "label", "runtime", "images", "verdict"),
    *("min cosine", "worst image", "mean cosine", "recall@10 / mixed"),
)
_SPARE_PARITY = ("mean cosine", "worst image", "recall@10 / mixed", "label", "model")
_SPARE = ("size", "first ms", "memory", "load ms", "p90 ms", "check", "p99 ms")  # left out in turn on a narrow terminal


def show_results(
    results: Sequence[Result],
    written: Sequence[Path],
    outcomes: Sequence[Outcome] = (),
    differences: Sequence[Difference] = (),
    *,
    as_json: bool,
    parities: Sequence[DeviceParity] = (),
) -> None:
    """One row a result, then how they differ, where Core ML means to run each operator, parity, then the files."""
    planned = [outcome for outcome in outcomes if isinstance(outcome, IosOutcome)]
    if as_json:
        document = {
            "results": [result.model_dump(mode="json") for result in results],
            "differences": [_for_machines(row) for row in differences],
            "plans": [outcome.plan.model_dump(mode="json") for outcome in planned if outcome.plan is not None],
            "files": [str(path) for path in written],
        }
        if parities:
            document["parities"] = [one.model_dump(mode="json") for one in parities]
        click.echo(json.dumps(document, indent=2))
        return
    if results or not parities:
        table("Latency", _COLUMNS, [_row(result) for result in results], right=_COLUMNS[3:10], spare=_SPARE)
    if differences:
        _show_differences("Differences of those that took turns, round by round", differences)
    rows = [
        (ran.model.name, ran.device.label, plan.compute_units, *(str(plan.per_device.get(at, 0)) for at in _PLACES))
        for ran, plan in ((outcome.result, outcome.plan) for outcome in planned)
        if ran is not None and plan is not None
    ]
    if rows:
        columns = ("model", "on", "compute units", *_PLACES)
        table("Number of operators, by the device that Core ML prefers", columns, rows, right=_PLACES)
    if parities:
        show_parities(parities, as_json=False)
    for path in written:
        click.echo(path)


def show_parities(parities: Sequence[DeviceParity], written: Sequence[Path] = (), *, as_json: bool) -> None:
    """One row a document of parity, then the files."""
    if as_json:
        files = [str(path) for path in written]
        print_json({"parities": [one.model_dump(mode="json") for one in parities], "files": files})
        return
    rows = [_parity_row(one) for one in parities]
    table("Parity on devices", _PARITY, rows, right=_PARITY[6:7], spare=_SPARE_PARITY)
    for path in written:
        click.echo(path)


def _parity_row(one: DeviceParity) -> tuple[str, ...]:
    report, retrieval = one.report, one.report.retrieval
    recall = "-" if retrieval is None else f"{retrieval.original.at_10:.3f} / {retrieval.mixed.at_10:.3f}"
    figures = (figure(report.min_cosine, 7), shown(report.worst_image or "-"), figure(report.mean_cosine, 7), recall)
    return (shown(one.model.name), one.place, one.label, one.ran, f"{one.count} {one.mode}", one.verdict, *figures)


def show_emitted(written: Sequence[Path], *, as_json: bool) -> None:
    """The file that says how to go on, then all that goes with it."""
    if as_json:
        click.echo(json.dumps({"files": [str(path) for path in written]}, indent=2))
        return
    rows = [(str(path), human_size(path.stat().st_size)) for path in written]
    table("Files for the lab; the first one says how to go on", ("file", "size"), rows, right=("size",))


def show_differences(
    rows: Sequence[Difference], gate: Gate | None = None, written: Sequence[Path] = (), *, as_json: bool
) -> None:
    """One row a comparison, then the files; for a machine also what keeps the gate closed."""
    if as_json:
        document: dict[str, object] = {"differences": [_for_machines(row) for row in rows]}
        if gate is not None:
            failures = [{**_names(result), "reasons": list(reasons)} for result, reasons in gate.failures]
            document |= {"passed": gate.error is None, "failures": failures, "files": [str(path) for path in written]}
        click.echo(json.dumps(document, indent=2))
        return
    _show_differences("Differences", rows)
    for path in written:
        click.echo(path)


def _show_differences(title: str, rows: Sequence[Difference]) -> None:
    cells = [row.cells for row in rows]
    table(title, DIFFERENCE, cells, right=DIFFERENCE[3:7], spare=("p50 base", "p50 new"))


def show_profiles(profiles: Mapping[Path, Sequence[Operator]], *, as_json: bool) -> None:
    """The slowest operators of each artifact."""
    if as_json:
        rows = [
            {"artifact": str(path), "operators": [vars(operator) for operator in operators]}
            for path, operators in profiles.items()
        ]
        click.echo(json.dumps({"profiles": rows}, indent=2))
        return
    for path, operators in profiles.items():
        whole = sum(operator.ms for operator in operators) or 1.0
        lines = [(row.name, row.kind, f"{row.ms:.3f}", f"{row.ms / whole:.1%}") for row in operators[:_SHOWN]]
        title = f"{path.name}: the slowest {len(lines)} of {len(operators)} operators"
        table(title, ("operator", "kind", "ms", "share"), lines, right=("ms", "share"))


def _for_machines(row: Difference) -> dict[str, object]:
    ratio = {"ratio": row.ratio.value, "low": row.ratio.low, "high": row.ratio.high}
    return {"new": _names(row.new), "base": _names(row.base), **ratio, "verdict": row.verdict, "unlike": [*row.unlike]}


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
    return (*result_cells(result), "pass" if result.check.passed else "FAIL", result.validity.line)
