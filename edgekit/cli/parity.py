"""`edgekit parity`: compare an artifact with its original, and print the figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import figure, print_json
from edgekit.cli.errors import Command
from edgekit.cli.options import PATH, common, complete_model, model_options, parity_options, recipe_of, reporter_of
from edgekit.support.progress import table

if TYPE_CHECKING:
    from edgekit.parity.report import ParityReport
    from edgekit.runtimes.report import RuntimesReport

__all__ = ["parity"]


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
def parity(
    artifact: Path,
    allow_inconclusive: bool,
    runtimes: str | None,
    keep: bool,
    record: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Compare the embeddings of ARTIFACT with those of the original PyTorch model.

    ARTIFACT is a folder that `edgekit export` published, or the file in it.
    """
    from edgekit.artifact.check import check_parity
    from edgekit.errors import UsageError

    if runtimes is not None:
        from edgekit.runtimes.check import RuntimesRequest, check_runtimes

        request = RuntimesRequest(artifact, recipe_of(options), runtimes, **options, keep=keep, record=record)
        found = check_runtimes(request, reporter_of(quiet or as_json))
        _show_runtimes(found, as_json=as_json)
        found.raise_for_verdict(allow_inconclusive=allow_inconclusive)
        return
    for name, given in (("keep", keep), ("record", record)):
        if given:
            raise UsageError(f"`{name}` says what to do with `runtimes`; name their versions, too", field=name)
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


def _show_runtimes(report: RuntimesReport, *, as_json: bool) -> None:
    """A row for each version, the oldest first."""
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    rows = [
        (
            row.version,
            row.verdict,
            figure(row.parity.min_cosine if row.parity else None, 7),
            figure(row.parity.mean_cosine if row.parity else None, 7),
            "; ".join(filter(None, (row.reason, row.beside and f"with {row.beside}"))),
        )
        for row in report.versions
    ]
    table(
        "Runtimes", ("version", "verdict", "min cosine", "mean cosine", ""), rows, right=("min cosine", "mean cosine")
    )
    click.echo(f"{report.artifact}: the oldest {report.package} that agrees is {report.oldest or 'none of these'}")


def _left_out(report: ParityReport) -> str:
    left_out = report.dataset.left_out
    if left_out is None:
        return ""
    kinds = ", ".join(f"{count} {kind}" for kind, count in left_out.kinds.items())
    return f", {left_out.images} left out ({kinds})"
