"""Give every parser damaged files, always the same ones, and print a table: `python -m tests.fuzz --inputs 10000`."""

from __future__ import annotations

from collections.abc import Iterable

import click

from edgekit.support.progress import table
from tests.fuzz.parsers import PARSERS
from tests.fuzz.run import feed

__all__ = ["show"]

COLUMNS = ("parser", "inputs", "refused", "MiB", "at most", "found")


def show(names: Iterable[str], inputs: int) -> list[str]:
    """Feed parsers and print what came of it; the findings, with the input of each."""
    rows, findings = [], []
    for name in names:
        report = feed(name, inputs)
        found = "none" if report.finding is None else report.finding.splitlines()[-1][:80]
        limit = str(PARSERS[name].mebibytes)
        rows.append((name, str(report.inputs), str(report.refused), f"{report.mebibytes:.0f}", limit, found))
        click.echo(" ".join(rows[-1]), err=True)
        findings += [] if report.finding is None else [f"{name}: {report.finding}\n{report.last[:2000]!r}"]
    table(f"Damaged files, {inputs:,} of each kind", COLUMNS, rows, right=COLUMNS[1:5])
    return findings


@click.command(help=__doc__)
@click.argument("names", nargs=-1, type=click.Choice(list(PARSERS)))
@click.option("--inputs", default=10_000, show_default=True, help="Of each parser.")
def main(names: tuple[str, ...], inputs: int) -> None:
    findings = show(names or PARSERS, inputs)
    for finding in findings:
        click.echo(finding, err=True)
    raise SystemExit(bool(findings))


if __name__ == "__main__":
    main()
