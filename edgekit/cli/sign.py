"""`edgekit sign`: sign a release, a bundle or an archive with a key that stays where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import print_json
from edgekit.cli.errors import Command
from edgekit.cli.options import PATH, common, password_file, password_of, reporter_of
from edgekit.support.progress import table

__all__ = ["sign"]


@click.command(cls=Command)
@click.argument("path", type=PATH)
@click.option("--private-key", type=PATH, required=True, metavar="FILE", help="Private key in PEM, on the curve P-256.")
@password_file
@click.option("--certificate", type=PATH, metavar="FILE", help="Certificate of the key in PEM.")
@click.option(
    "--certificate-chain",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="Certificates in PEM between --certificate and the root. May be repeated.",
)
@click.option(
    "--allow-unverified",
    is_flag=True,
    help="Sign artifacts that were not compared with the original, or did not pass.",
)
@common
def sign(password_file: Path | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Sign PATH: a release that `edgekit package` wrote, one of its bundles, or an archive.

    Of a release each bundle is signed, and then the whole. A folder's signature is model.sig in it, an archive's lies
    beside it. What does not hold is not signed. An earlier signature is replaced. The key is neither kept nor shown.
    """
    from edgekit.release.sign import SignRequest
    from edgekit.release.sign import sign as sign_path

    password = password_of(options["private_key"], password_file)
    signed = sign_path(SignRequest(password=password, **options), reporter_of(quiet or as_json))
    if as_json:
        print_json({"key": signed.key, "signatures": signed.signatures})
        return
    rows = [(name, str(files)) for name, files in signed.signatures.items()]
    table("Signed", ("signature", "files"), rows, right=("files",))
    click.echo(f"signed with the key {signed.key}")
