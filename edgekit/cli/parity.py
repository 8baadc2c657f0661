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
from edgekit.support.text import either

if TYPE_CHECKING:
    from edgekit.parity.report import ParityReport

__all__ = ["parity"]

_DEVICES = [row.key for row in DRIVERS if row.embeds]
# The options of each way to compare, and what an error says of one that is given without its way.
_OWN: dict[str, tuple[tuple[str, ...], str]] = {
    "on": (
        ("serials", "all_devices", "app", "compute_units", "runner", "library", "threads", "raw", "out"),
        f"is for {either(_DEVICES)}: say by `on` where to compare, or leave it out",
    ),
    "bisect": (("plot", "plan"), "is of `bisect`: give that too, or leave it out"),
    "runtimes": (("keep", "record"), "says what to do with `runtimes`; name their versions, too"),
}


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
    type=click.Choice(["host", *_DEVICES]),
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
@click.option(
    "--runtimes",
    metavar="VERSIONS",
    help="Compare on these versions of the file's runtime instead, for example 1.3,1.4,1.5: each is installed by pip "
    "from your package index, in an environment of its own that is removed afterwards.",
)
@click.option("--keep", is_flag=True, help="With --runtimes: keep what was installed in the user's cache folder.")
@click.option(
    "--record",
    is_flag=True,
    help="With --runtimes: write to the artifact's manifest which version is the oldest that agrees.",
)
@common
def parity(artifact: Path, allow_inconclusive: bool, as_json: bool, quiet: bool, **options: Any) -> None:
    """Compare the embeddings of ARTIFACT with those of the original PyTorch model, here or on devices.

    ARTIFACT is a folder that `edgekit export` published, or the file in it. On devices, 256 images are compared unless
    --samples says otherwise.
    """
    asked = {way: options.pop(way) for way in _OWN}
    way = _way(asked, options)
    options = {name: value for name, value in options.items() if name not in _of_others(way)}
    if way == "on":
        from edgekit.cli.parity_devices import compare_on_devices

        compare_on_devices(artifact, asked["on"], options, allow_inconclusive, as_json=as_json, quiet=quiet)
    elif way == "bisect":
        from edgekit.cli.parity_bisect import find_first

        find_first(artifact, options, as_json=as_json, quiet=quiet)
    elif way == "runtimes":
        from edgekit.cli.parity_runtimes import compare_on_versions

        compare_on_versions(artifact, asked["runtimes"], options, allow_inconclusive, as_json=as_json, quiet=quiet)
    else:
        from edgekit.artifact.check import check_parity

        report = check_parity(artifact, recipe_of(options), reporter=reporter_of(quiet or as_json), **options)
        _show_parity(report, as_json=as_json)
        report.raise_for_verdict(allow_inconclusive=allow_inconclusive)


def _way(asked: dict[str, Any], options: dict[str, Any]) -> str | None:
    """How to compare: on devices, inside the file, on other runtimes; None for here, as it is.

    Raises:
        UsageError: two ways are asked for, or an option is given without its way.
    """
    ways = [way for way, value in asked.items() if value not in (None, False, "host")]
    if len(ways) > 1:
        raise UsageError(f"`{ways[0]}` and `{ways[1]}` are two ways to compare: give one of them", field=ways[1])
    way = ways[0] if ways else None
    for name in _of_others(way):
        if options[name] not in (None, (), False):
            raise UsageError(f"`{name}` {next(words for names, words in _OWN.values() if name in names)}", field=name)
    return way


def _of_others(way: str | None) -> list[str]:
    """The options that belong to other ways."""
    return [name for other, (names, _) in _OWN.items() if other != way for name in names]


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
