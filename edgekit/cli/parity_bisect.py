"""`edgekit parity --bisect`: the first tensor inside a file that differs, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import figure, print_json
from edgekit.cli.errors import end
from edgekit.cli.options import recipe_of, reporter_of
from edgekit.errors import ParityError
from edgekit.support.progress import table

if TYPE_CHECKING:
    from edgekit.bisect import BisectReport, Step

__all__ = ["find_first"]

_COLUMNS = ("depth", "module", "op", "shape", "cosine", "max error", "own error", "")
_BEFORE, _AFTER, _MOST = 5, 3, 5


def find_first(artifact: Path, options: dict[str, Any], *, as_json: bool, quiet: bool) -> None:
    """Bisect, print, and end with the exit code of a missed parity gate where a step differs."""
    from edgekit.bisect import BisectRequest, bisect

    plot: Path | None = options["plot"]
    request = BisectRequest(
        artifact=artifact,
        recipe=recipe_of(options),
        plan=options["plan"],
        images=options["images"],
        samples=options["samples"],
    )
    report = bisect(request, reporter_of(quiet or as_json))
    if plot is not None:
        from edgekit.bisect.plot import draw

        draw(report, plot)
    if as_json:
        print_json(report.model_dump(mode="json") | {"first": _index(report)})
    else:
        _show(report, plot)
    first = report.first
    if first is not None:
        end([ParityError(f"{artifact}: {first.module} ({first.op}) is the first to differ: {first.likely}")])


def _index(report: BisectReport) -> int | None:
    """The place of the first jump among the steps."""
    return None if report.first is None else report.steps.index(report.first)


def _show(report: BisectReport, plot: Path | None) -> None:
    first = _index(report)
    if first is None:
        by_error = sorted(report.steps, key=lambda step: -(step.own_error or 0.0))
        rows, title = by_error[:_MOST], "No tensor differs by more than rounding; these differ most"
    else:
        rows = report.steps[max(0, first - _BEFORE) : first + 1 + _AFTER]
        title = f"The first tensor of {report.model} ({report.format} {report.precision}) that differs"
    table(title, _COLUMNS, [_row(step, report) for step in rows], right=("depth", *_COLUMNS[4:7]))
    click.echo(
        f"{len(report.steps)} of {report.seen} tensors matched, on {report.image} (cosine {figure(report.cosine, 6)}); "
        f"rounding explains an own error of {report.allowed:g}"
    )
    if plot is not None:
        click.echo(f"error over depth: {plot}")


def _row(step: Step, report: BisectReport) -> tuple[str, ...]:
    shape = "x".join(map(str, step.shape))
    figures = (figure(step.cosine, 6), _small(step.max_error), _small(step.own_error))
    mark = "<- first jump" if step is report.first else "jump" if step.jump else ""
    return str(step.depth), step.module, step.op, shape, *figures, mark


def _small(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.2g}"
