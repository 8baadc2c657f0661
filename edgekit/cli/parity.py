"""`edgekit parity`: compare an artifact with its original, and print the figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.bench.drivers.table import DRIVERS
from edgekit.cli.console import figure, print_json
from edgekit.cli.errors import Command
from edgekit.cli.options import (
    FOLDER,
    PATH,
    Count,
    common,
    complete_model,
    device_options,
    model_options,
    parity_options,
    recipe_of,
    reporter_of,
)
from edgekit.errors import UsageError
from edgekit.support.progress import table

if TYPE_CHECKING:
    from edgekit.parity.report import ParityReport

__all__ = ["parity"]

# Options that devices alone take.
_BISECTING = ("plot", "plan")
_ON_DEVICES = ("serials", "all_devices", "app", "compute_units", "runner", "library", "threads", "raw", "out")


@click.command(cls=Command)
@click.argument("artifact", type=PATH)
@click.option(
    "--against",
    "model",
    required=True,
    metavar="MODEL",
    help="Original model: a recipe, a timm name, hf-hub:ORG/NAME or package.module:factory.",
    shell_complete=complete_model,
)
@model_options
@parity_options
@click.option(
    "--on",
    type=click.Choice(["host", *(row.key for row in DRIVERS if row.embeds)]),
    default="host",
    help="Where ARTIFACT runs: on this machine, or on devices that are connected to it.",
)
@device_options
@click.option("--threads", type=Count(1, 256), help="Number of CPU threads on a device.  [default: 1]")
@click.option(
    "--raw",
    is_flag=True,
    help="Send photos as JPEG and PNG files: the app decodes and scales them itself.",
)
@click.option("--out", type=FOLDER, metavar="DIR", help="Also write what devices gave into this folder of results.")
@click.option(
    "--bisect",
    is_flag=True,
    help="Find the first tensor inside ARTIFACT that differs, on the worst of 4 images or of --samples.",
)
@click.option("--plot", type=PATH, metavar="FILE", help="With --bisect, also draw error over depth into a PNG file.")
@click.option(
    "--plan", type=PATH, metavar="FILE", help="With --bisect, the plan that ARTIFACT follows, if it has weights."
)
@common
def parity(artifact: Path, on: str, allow_inconclusive: bool, as_json: bool, quiet: bool, **options: Any) -> None:
    """Compare the embeddings of ARTIFACT with those of the original PyTorch model, here or on devices.

    ARTIFACT is a folder that `edgekit export` published, or the file in it. On devices, 256 images are compared unless
    --samples says otherwise.
    """
    bisecting, finds = {name: options.pop(name) for name in _BISECTING}, options.pop("bisect")
    on_devices = {name: options.pop(name) for name in _ON_DEVICES}
    if finds:
        from edgekit.cli.parity_bisect import find_first

        if on != "host":
            raise UsageError("`bisect` looks into a file on this machine: leave out `on`", field="on")
        find_first(artifact, options | bisecting, as_json=as_json, quiet=quiet)
        return
    for name in (name for name, value in bisecting.items() if value is not None):
        raise UsageError(f"`{name}` is of `bisect`: give that too, or leave it out", field=name)
    if on != "host":
        from edgekit.cli.parity_devices import compare_on_devices

        compare_on_devices(artifact, on, options | on_devices, allow_inconclusive, as_json=as_json, quiet=quiet)
        return
    given = [name for name, value in on_devices.items() if value not in (None, (), False)]
    if given:
        keys = " and ".join(row.key for row in DRIVERS if row.embeds)
        raise UsageError(f"`{given[0]}` is for {keys}: say by `on` where to compare, or leave it out", field=given[0])
    from edgekit.artifact.check import check_parity

    report = check_parity(artifact, recipe_of(options), reporter=reporter_of(quiet or as_json), **options)
    _show_parity(report, as_json=as_json)
    report.raise_for_verdict(allow_inconclusive=allow_inconclusive)


def _show_parity(report: ParityReport, *, as_json: bool) -> None:
    """A parity report's figures, one a row."""
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    rows = [
        ("verdict", report.verdict + "".join(f"; {reason}" for reason in report.reasons)),
        ("runtime", f"{report.runtime} ({'stand-in for the device' if report.reference else 'the real runtime'})"),
        (
            "images",
            f"{report.dataset.images} of {report.dataset.name}, {report.dataset.skipped} skipped{_left_out(report)}",
        ),
        ("min cosine", f"{figure(report.min_cosine, 7)} ({report.worst_image})"),
        ("mean cosine", figure(report.mean_cosine, 7)),
        ("max abs error", figure(report.max_abs_error, 7)),
        (f"top-{report.neighbours} overlap", figure(report.neighbour_overlap, 4)),
    ]
    retrieval = report.retrieval
    if retrieval is not None:
        sides = (("original", retrieval.original), ("artifact", retrieval.artifact), ("mixed", retrieval.mixed))
        for name, side in sides:
            if side is not None:
                rows.append((f"recall@1 / @10, {name}", f"{side.at_1:.3f} / {side.at_10:.3f}"))
    table("Parity", ("figure", "value"), rows)


def _left_out(report: ParityReport) -> str:
    left_out = report.dataset.left_out
    if left_out is None:
        return ""
    kinds = ", ".join(f"{count} {kind}" for kind, count in left_out.kinds.items())
    return f", {left_out.images} left out ({kinds})"
