"""`edgekit parity --runtimes`: compare on other versions of a file's runtime, a row of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import figure, print_json
from edgekit.cli.options import recipe_of, reporter_of
from edgekit.support.progress import table

if TYPE_CHECKING:
    from edgekit.runtimes.report import RuntimesReport

__all__ = ["compare_on_versions"]


def compare_on_versions(
    artifact: Path, versions: str, options: dict[str, Any], allow_inconclusive: bool, *, as_json: bool, quiet: bool
) -> None:
    """Compare on each version, print, and end with the error of one that misses its gates."""
    from edgekit.runtimes.check import RuntimesRequest, check_runtimes

    own = {name: options.pop(name) for name in ("keep", "record", "images", "samples")}
    found = check_runtimes(
        RuntimesRequest(artifact, recipe_of(options), versions, **own), reporter_of(quiet or as_json)
    )
    _show(found, as_json=as_json)
    found.raise_for_verdict(allow_inconclusive=allow_inconclusive)


def _show(report: RuntimesReport, *, as_json: bool) -> None:
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
