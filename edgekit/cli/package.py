"""`edgekit package`: make a release of verified artifacts, and print one row a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import print_json
from edgekit.cli.errors import Command
from edgekit.cli.options import (
    FOLDER,
    PATH,
    bench_option,
    common,
    complete_model,
    password_file,
    password_of,
    previous_option,
    reporter_of,
)
from edgekit.support.progress import table
from edgekit.support.text import human_size

if TYPE_CHECKING:
    from edgekit.release.package import PackageResult

__all__ = ["package"]


def _complete_kind(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[str]:
    """Kinds of bundles that begin so."""
    from edgekit.release.kinds import KINDS

    return [name for name in KINDS if name.startswith(incomplete)]


@click.command(cls=Command)
@click.argument("artifacts", type=PATH, nargs=-1, metavar="[ARTIFACT]...")
@click.option("--out", type=FOLDER, metavar="DIR", default=Path("release"), help="Folder to write the release to.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="KIND",
    shell_complete=_complete_kind,
    help="Bundle to write: ios, android, web or plain. May be repeated.  [default: each that takes an ARTIFACT]",
)
@click.option("--name", metavar="NAME", help="Name of the release.  [default: the recipe's]")
@click.option(
    "--release-version",
    metavar="X.Y.Z",
    help="Version of the release.  [default: the version in the artifacts]",
)
@click.option(
    "--recipe",
    metavar="MODEL",
    shell_complete=complete_model,
    help="Model to export first, where no ARTIFACT is given.  [default: ./edgekit.toml, else the bundled default]",
)
@previous_option("Release that this one follows; the changelog says what differs.")
@click.option(
    "--compatibility",
    type=PATH,
    metavar="FILE",
    help="Report of `edgekit evaluate compatibility` about the previous model and this one.",
)
@click.option("--prices", type=PATH, metavar="FILE", help="Price table (TOML).  [default: the one that is shipped]")
@bench_option(
    "Result of `edgekit bench`: the recipe's limits are held against it, and one of a phone or an emulator counts as "
    "parity there."
)
@click.option(
    "--card", type=PATH, metavar="FILE", help="Training card, a JSON file.  [default: the one beside the weights]"
)
@click.option("--license-file", type=PATH, metavar="FILE", help="Text of the licence of the weights.")
@click.option(
    "--accept-license",
    "accept_licenses",
    multiple=True,
    metavar="NAME",
    help="Take weights of this licence although it is unknown or allows no commercial use. May be repeated.",
)
@click.option(
    "--require-parity",
    type=click.Choice(["host", "emulated", "device"]),
    help="Refuse an ARTIFACT that was not shown to agree with the original by the vendor's runtime on a computer, on "
    "an emulator or on a phone at least.  [default: any comparison]",
)
@click.option("--allow-unverified", is_flag=True, help="Take an ARTIFACT that was not verified, or did not pass.")
@click.option("--private-key", type=PATH, metavar="FILE", help="Sign the release with this key.")
@password_file
@common
def package(
    artifacts: tuple[Path, ...], password_file: Path | None, as_json: bool, quiet: bool, **options: Any
) -> None:
    """Make a release of exported models: a Swift package, an Android library, an npm package and archives.

    ARTIFACT is a folder that `edgekit export` published. All must be of one model. Without ARTIFACT, what the bundles
    need is exported first.

    \b
    edgekit package --out release --private-key key.pem
    edgekit package exported/* --out release --kind web --kind plain
    edgekit package exported/* --out v2 --previous v1 --release-version 2.0.0
    """
    from edgekit import PackageRequest
    from edgekit import package as make

    key = options["private_key"]
    password = None if key is None else password_of(key, password_file)
    result = make(PackageRequest(artifacts, password=password, **options), reporter_of(quiet or as_json))
    if as_json:
        print_json({**result.release.model_dump(mode="json"), "left_out": result.left_out, "signed": result.signed})
    else:
        _show(result)


def _show(result: PackageResult) -> None:
    """One row a bundle: kind, where it is, its size and what it is known by."""
    forms = {True: "archive", False: "folder"}
    rows = [
        (one.kind, str(result.out / one.path), forms[one.archive], human_size(one.bytes), one.sha256[:16])
        for one in result.bundles
    ]
    release = result.release
    columns = ("kind", "path", "form", "size", "sha256")
    table(f"Release {release.name} {release.version}", columns, rows, right=columns[3:4])
    click.echo(f"embedding space {release.space}. {release.update}")
    if not result.signed:
        click.echo(f"not signed: `edgekit sign {result.out} --private-key FILE` does it")
