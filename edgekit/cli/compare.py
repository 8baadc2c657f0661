"""`edgekit compare`: backbones, precisions and targets in one table, and which one to ship."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import print_json, typed_command
from edgekit.cli.errors import Command, in_options, warn
from edgekit.cli.options import (
    FOLDER,
    PATH,
    Count,
    Finite,
    common,
    complete_model,
    image_options,
    page_option,
    reporter_of,
)
from edgekit.errors import ModelError
from edgekit.support.progress import table

if TYPE_CHECKING:
    from edgekit.evaluation.compare import CompareRequest
    from edgekit.evaluation.compare_report import CompareReport

__all__ = ["compare"]


class _Listed(click.ParamType):
    """Values with commas between them."""

    name = "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        parts = tuple(part.strip() for part in str(value).split(",")) if not isinstance(value, tuple) else value
        if not all(parts):
            self.fail(f"{value!r} has an empty part; write values with commas between them", param, ctx)
        return parts

    def typed(self, value: tuple[str, ...]) -> str:
        """The values as a person types them."""
        return ",".join(value)


class _Assigned(click.ParamType):
    """NAME=VALUE."""

    name = "assignment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, sign, given = str(value).partition("=") if not isinstance(value, tuple) else (value[0], "=", value[1])
        if not (name and sign and given):
            self.fail(f"{value!r} is no assignment; write NAME=VALUE", param, ctx)
        return name, given

    def typed(self, value: tuple[str, str]) -> str:
        """The assignment as a person types it."""
        return "=".join(value)


@click.command(cls=Command)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", shell_complete=complete_model)
@click.option(
    "--precision",
    "precisions",
    type=_Listed(),
    default="default",
    metavar="LIST",
    help="Number formats with commas between them: default (each target's own float format), fp32, fp16, int8.",
)
@click.option(
    "--target",
    "targets",
    type=_Listed(),
    default="onnx",
    metavar="LIST",
    help="What to export for: ios, android, onnx, with commas between them, or all.",
)
@click.option("--format", metavar="FORMAT", help="File format, as for edgekit export.")
@click.option(
    "--plan",
    "plans",
    type=_Assigned(),
    multiple=True,
    metavar="NAME=FILE",
    help="Quantization plan of the model NAME for int8. Without it a plan is searched for. May be repeated.",
)
@click.option(
    "--sweep",
    type=_Assigned(),
    multiple=True,
    metavar="KEY=LIST",
    help="Variants of each model: size=160,192,224 (pixels), or width= and names of timm models, which get random "
    "weights. May be repeated.",
)
@click.option(
    "--out",
    type=FOLDER,
    metavar="DIR",
    default=Path("compared"),
    help="Folder for the exports, embeddings and measurements, which are used again where they are the same.",
)
@click.option(
    "--min-ios", type=click.IntRange(15, 27), metavar="VERSION", help="Oldest iOS version, as for edgekit export."
)
@image_options("Verify", ".", samples=None, more="Not used with --images.  [default: 64]")
@click.option("--data", default="catalog:200", help="Photos to judge quality on, as for edgekit embed.")
@click.option(
    "--task",
    "tasks",
    type=_Listed(),
    default="similar",
    metavar="LIST",
    help="Tasks, as for edgekit evaluate retrieval.",
)
@click.option(
    "--at", type=Count(1, 10_000), multiple=True, default=(1, 5, 10), help="Cut-offs of lists. May be repeated."
)
@click.option("--workers", type=Count(1, 1024), help="Number of processes that embed.  [default: one for each core]")
@click.option(
    "--results",
    type=PATH,
    multiple=True,
    metavar="DIR",
    help="Results of edgekit bench, from devices or hosts; a file or a folder. May be repeated.",
)
@click.option(
    "--seconds",
    type=Finite(0, 3600),
    default=5.0,
    help="Measure each artifact that has no result so long on this machine.",
)
@click.option("--prices", type=PATH, metavar="FILE", help="Price table (TOML).  [default: the one that is shipped]")
@click.option("--instance", metavar="NAME", help="Machine of the price table that embeds.  [default: its first]")
@click.option("--transfer", metavar="NAME", help="Price of downloads in the price table.  [default: its first]")
@click.option("--traffic", metavar="N/day", help="Embeddings that a server makes: N/day, N/hour or N/second.")
@click.option("--gallery", type=Count(1), help="Photos of the gallery, which a new model must embed again.")
@click.option("--installs", type=Count(1), help="Installs of the app, each of which downloads the model.")
@click.option(
    "--where",
    metavar="CONDITION",
    help="Limits to keep, for example 'latency_ms < 10 and size_mb < 8', with and, or, not and parentheses.",
)
@click.option("--best", metavar="FIGURE", help="What is to be best.  [default: recall at the largest --at]")
@click.option(
    "--resamples", type=Count(99, 1_000_000), default=2000, help="Number of times that queries are drawn again."
)
@click.option("--seed", type=Count(min=0), default=0, help="Seed of what is drawn by chance.")
@page_option
@common
def compare(
    targets: tuple[str, ...],
    format: str | None,
    plans: Any,
    sweep: Any,
    page: Path | None,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Compare each MODEL in each precision for each target, and say which one to ship.

    Quality, parity, latency, memory, size and cost of each, and the Pareto front over quality, latency and size.

    \b
    edgekit compare catalog-s0 catalog-b0 --precision default,int8 --target all
    edgekit compare catalog-b0 --where "latency_ms < 10 and size_mb < 8"
    edgekit compare catalog-b0 --sweep size=160,192,224 --traffic 1000000/day
    edgekit compare catalog-s0 catalog-b0 --page compare.html
    """
    from edgekit import targets as known
    from edgekit.evaluation import compare as work
    from edgekit.evaluation.compare_page import write_compare_page
    from edgekit.report.write import check_name

    request = work.CompareRequest(
        targets=known.select(targets, format),
        plans=dict(plans),
        sweep={key: _Listed().convert(values, None, None) for key, values in sweep},
        **asked,
    )
    check_name(page)
    report = work.compare(request, reporter_of(quiet or as_json))
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _show(report, request)
    if page is not None:
        again = [("figures of the row in question", line) for line in _commands(report, request)]
        write_compare_page(report, page, [("all figures of this page", typed_command()), *again])
        click.echo(str(page), err=as_json)
    if all(row.error is not None for row in report.rows):
        raise ModelError(f"nothing could be exported; {report.rows[0].name}: {report.rows[0].error}")


def _show(report: CompareReport, request: CompareRequest) -> None:
    """The table, how its figures were obtained, what to know of it, and the verdict with the commands to repeat it."""
    from edgekit.evaluation.compare_table import table_of

    told = table_of(report)
    titles = [column.title for column in told.columns]
    table(
        f"{', '.join(report.tasks)} on {report.data}",
        titles,
        [line.cells for line in told.lines],
        right=[column.title for column in told.columns if column.figure],
        spare=[column.title for column in reversed(told.columns) if column.figure],
        dim=[number for number, line in enumerate(told.lines) if line.dominated],
    )
    table("How the figures were obtained", ("figure", "how"), told.how)
    for price in told.prices:
        click.echo(price)
    for note in told.errors + told.notes:
        warn(in_options(note))
    for sentence in told.verdict:
        click.echo(sentence)
    for command in _commands(report, request):
        click.echo(f"  {command}")


def _commands(report: CompareReport, request: CompareRequest) -> list[str]:
    """What repeats the figures of the row to ship, or of the nearest one."""
    name = report.answer.ship or report.answer.nearest
    row = next((row for row in report.rows if row.name == name), None)
    if row is None:
        return []
    folder, file = shlex.quote(str(request.out / row.name)), "embeddings.parquet"
    timed = [] if row.reference else [f"edgekit bench {folder}"]
    return [
        f"edgekit embed {shlex.quote(request.data)} --with {folder} --out {file}",
        *(f"edgekit evaluate retrieval {file} --task {task}" for task in report.tasks),
        *timed,
    ]
