"""`edgekit export`: make files for phones, verify them, and print one row a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import figure, print_json
from edgekit.cli.errors import Command, end, in_options
from edgekit.cli.options import FOLDER, PATH, common, model_arg, model_options, parity_options, recipe_of, reporter_of
from edgekit.support.progress import table
from edgekit.support.text import human_size

if TYPE_CHECKING:
    from edgekit.artifact.manifest import Payoff
    from edgekit.pipeline import Export, ExportResult

__all__ = ["export"]


def _complete_target(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[str]:
    """Targets that begin so."""
    from edgekit.targets import platforms

    names = [*platforms(), "all"]
    return [name for name in names if name.startswith(incomplete)]


def _complete_format(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[str]:
    """Formats that begin so."""
    from edgekit.targets import TARGETS

    names = [*dict.fromkeys(row.format for row in TARGETS), "all"]
    return [name for name in names if name.startswith(incomplete)]


@click.command(cls=Command)
@model_arg()
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="TARGET",
    default=("ios",),
    shell_complete=_complete_target,
    help="What to export for: ios, android, onnx or all. May be repeated.",
)
@click.option(
    "--format",
    metavar="FORMAT",
    shell_complete=_complete_format,
    help="File format, where the target has several: coreml (the default), coreai or executorch for ios, executorch "
    "(the default) or litert for android, or all.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Number format of the file. int8 searches for a quantization plan first, which takes minutes.  "
    "[default: fp16 for ios, fp32 for android and onnx]",
)
@click.option(
    "--min-ios",
    type=click.IntRange(15, 27),
    metavar="VERSION",
    help="Oldest iOS version that must be able to load the file.  [default: 16, and 27 for coreai]",
)
@click.option("--dynamic-batch", is_flag=True, help="Let the ONNX file take any number of images at once.")
@click.option(
    "--input",
    "input_dtype",
    type=click.Choice(["float32", "uint8"]),
    default="float32",
    help="Input of the files for android and onnx, with values from 0 to 255: float32 [1,3,H,W] ([1,H,W,3] in LiteRT) "
    "or uint8 [1,H,W,3]. A Core ML package always takes an image.",
)
@click.option(
    "--out",
    type=FOLDER,
    metavar="DIR",
    default=Path("exported"),
    help="Folder to write to. Every exported file gets a folder of its own in it.",
)
@click.option(
    "--verify/--no-verify",
    default=True,
    help="Compare the embeddings of each file with those of the original model, and publish only what agrees. With "
    "--no-verify nothing is compared, and the manifest says `unverified`.",
)
@click.option(
    "--plan", type=PATH, metavar="PLAN", help="Quantize by this plan: the plan.json that `edgekit quantize` wrote."
)
@click.option(
    "--compare",
    is_flag=True,
    help="With --plan or --precision int8: make fp32 and fp16 files too, and say whether quantization pays.",
)
@model_options
@parity_options
@common
def export(
    targets: tuple[str, ...], format: str | None, plan: Path | None, as_json: bool, quiet: bool, **options: Any
) -> None:
    """Export MODEL to phones and verify the files.

    MODEL is a recipe (the name of a bundled one, or a .toml file), a timm name, hf-hub:ORG/NAME, or
    package.module:factory. Without MODEL, ./edgekit.toml is taken, else the bundled default.

    \b
    edgekit export --target ios
    edgekit export vit_tiny_patch16_224 --weights tiny.safetensors --target all
    edgekit export my_package.models:tower --target android --images photos/
    edgekit export --target all --format all
    """
    from edgekit import pipeline
    from edgekit.quantization import read_plan
    from edgekit.targets import select

    rows = select(targets, format)
    request = pipeline.ExportRequest(
        recipe=recipe_of(options), targets=rows, plan=None if plan is None else read_plan(plan), **options
    )
    result = pipeline.export(request, reporter_of(quiet or as_json))
    if as_json:
        print_json({"exports": [_export_as_json(item) for item in result.exports]})
    else:
        _show_export(result)
    end([item.error for item in result.exports])


def _show_export(result: ExportResult) -> None:
    """One row an artifact: file, size, precision, parity and what ran it, delegated share, seconds."""
    rows = [_export_row(item) for item in result.exports]
    columns = ("file", "size", "precision", "parity", "runtime", "min cosine", "recall@10", "delegated", "seconds")
    table("Exported", columns, rows, right=columns[1:2] + columns[5:])
    for item in result.exports:
        if item.manifest is not None and item.manifest.payoff is not None:
            _show_payoff(item.target.key, item.manifest.payoff)
    _show_float32(result)
    _show_hazards(result)
    for item in result.exports:
        if item.artifact is not None:
            click.echo(f"{item.artifact}")


def _show_float32(result: ExportResult) -> None:
    rows = [
        (item.target.key, op.op, op.module, f"{op.largest:.3g}", op.reason)
        for item in result.exports
        if item.manifest is not None
        for op in item.manifest.float32_ops
    ]
    if rows:
        columns = ("target", "op", "module", "largest value", "what half precision does")
        table("Operators in float32", columns, rows, right=columns[3:4])


def _show_hazards(result: ExportResult) -> None:
    rows = [
        (item.target.key, hazard.where, hazard.concerns, hazard.effect, hazard.remedy, hazard.source or "-")
        for item in result.exports
        if item.manifest is not None
        for hazard in item.manifest.hazards
    ]
    if rows:
        table("Known hazards", ("target", "where", "of this file", "what happens", "remedy", "reported in"), rows)


def _show_payoff(target: str, payoff: Payoff) -> None:
    digits = {"median_ms": 2, "min_cosine": 5, "mean_cosine": 5, "recall_drop": 2, "mixed_drop": 2}
    rows = [
        (
            form.precision,
            human_size(form.bytes),
            *(figure(getattr(form, key), places) for key, places in digits.items()),
        )
        for form in payoff.forms
    ]
    columns = ("form", "size", "ms here", "min cosine", "mean", "recall@10 drop", "mixed")
    table(f"{target}: did it pay?", columns, rows, right=columns[1:])
    click.echo(payoff.verdict)


def _export_row(item: Export) -> tuple[str, ...]:
    cosine, recall, verdict, runtime = "-", "-", "unverified", "-"
    if item.report is not None:
        verdict, runtime = f"{item.report.verdict} on {item.report.dataset.images}", item.report.runtime
        cosine = figure(item.report.min_cosine, 6)
        if item.report.retrieval is not None:
            recall = figure(item.report.retrieval.mixed.at_10, 3)
    file, size, delegated = f"held back: {item.folder.name}", "-", "-"
    if item.manifest is not None:
        file, delegated = item.manifest.artifact, f"{item.manifest.coverage.delegated:.1%}"
        size = human_size(sum(part.bytes for part in item.manifest.files if part.path != "parity.json"))
    return (file, size, item.precision, verdict, runtime, cosine, recall, delegated, f"{item.seconds:.1f}")


def _export_as_json(item: Export) -> dict[str, Any]:
    return {
        "target": item.target.platform,
        "format": item.target.format,
        "precision": item.precision,
        "published": item.manifest is not None,
        "artifact": str(item.artifact) if item.manifest else None,
        "seconds": round(item.seconds, 2),
        "error": in_options(str(item.error)) if item.error else None,
        "manifest": item.manifest.model_dump(mode="json") if item.manifest else None,
        "parity": item.report.model_dump(mode="json", exclude={"cosines"}) if item.report else None,
    }
