"""`edgekit verify`: accept or refuse a release, a bundle or an archive, and say why."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import print_json
from edgekit.cli.errors import Command
from edgekit.cli.options import PATH, bench_option, common, complete_model, previous_option, reporter_of
from edgekit.errors import UsageError
from edgekit.support.progress import table

if TYPE_CHECKING:
    from edgekit.release.rebuild import Rebuilt
    from edgekit.release.verify import Verified
    from edgekit.support.progress import Reporter

__all__ = ["verify"]


@click.command(cls=Command)
@click.argument("path", type=PATH)
@click.option(
    "--public-key",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="Public key of the publisher in PEM. May be repeated: any of them may have signed.",
)
@click.option(
    "--certificate-root",
    "certificate_roots",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="Certificate in PEM that the signer's certificate must lead to. May be repeated.",
)
@click.option(
    "--signature",
    type=PATH,
    metavar="FILE",
    help="Signature of PATH.  [default: model.sig in a folder, ARCHIVE.sig beside an archive]",
)
@click.option("--name", help="Refuse a bundle with another name.")
@click.option("--minimum-version", metavar="X.Y.Z", help="Refuse a lower version.")
@click.option("--space", help="Refuse another embedding space.")
@click.option("--allow-unsigned", is_flag=True, help="Accept what has no signature, and say so.")
@click.option(
    "--self-test/--no-self-test",
    default=True,
    help="Run each model that a runtime of this machine can open on its golden vectors.",
)
@click.option(
    "--rebuild",
    metavar="MODEL",
    shell_complete=complete_model,
    help="Then build the release again from this recipe, compare every byte, and say at which step it differs.",
)
@previous_option("With --rebuild: the release that this one follows.")
@click.option("--plan", type=PATH, metavar="PLAN", help="With --rebuild: the plan of artifacts that are quantized.")
@bench_option("With --rebuild: a result of `edgekit bench` that the release was made with.")
@common
def verify(as_json: bool, quiet: bool, **options: Any) -> None:
    """Verify PATH: a release that `edgekit package` wrote, one of its bundles, or an archive.

    The signature and the hash of every file come first, then the documents, then what is expected, then the self-test.
    Nothing is asked of a network. What is refused ends with exit code 7 and a reason; with --json it is also printed.
    """
    from edgekit.release.reasons import Refused
    from edgekit.release.verify import VerifyRequest
    from edgekit.release.verify import verify as verify_path

    asked = {name: options.pop(name) for name in ("rebuild", "previous", "plan", "results")}
    reporter = reporter_of(quiet or as_json)
    try:
        result = verify_path(VerifyRequest(**options), reporter)
    except Refused as refused:
        if as_json:
            print_json({"accepted": False, "reason": refused.reason, "message": str(refused)})
        raise
    if not as_json:
        _show(result)
    rebuilt = _rebuilt(result, asked, reporter)
    if as_json:
        print_json({"accepted": True, **asdict(result), "rebuilt": None if rebuilt is None else asdict(rebuilt)})
    if rebuilt is not None:
        rebuilt.raise_for_differences()
        if not as_json:
            click.echo(rebuilt.line)


def _rebuilt(result: Verified, asked: dict[str, Any], reporter: Reporter) -> Rebuilt | None:
    """What came of building it again, where that is asked for."""
    from edgekit.release.rebuild import RebuildRequest, rebuild

    recipe = asked.pop("rebuild")
    if recipe is None:
        if idle := next((name for name, value in asked.items() if value), None):
            raise UsageError(f"`{idle}` says what a release is built again from; give `rebuild`, too", field=idle)
        return None
    if result.kind != "release":
        raise UsageError(f"{result.path}: `rebuild` builds whole releases; give the folder of one", field="rebuild")
    return rebuild(RebuildRequest(result.path, recipe, **asked), reporter)


def _show(result: Verified) -> None:
    """What was verified, a row each: the bundles of a release below it."""
    rows = []
    for one in (result, *result.bundles):
        tests = "\n".join(f"{artifact}: {came}" for artifact, came in one.self_test.items()) or "-"
        key = one.key if one.key == "unsigned" else f"by {one.key[:16]}"
        where = one.path if one is result else one.path.removeprefix(f"{result.path}/")
        rows.append((where, one.kind, key, f"{one.files} files", "valid", tests))
    columns = ("what", "kind", "signature", "hashes", "documents", "self-test")
    table(f"{result.name} {result.version}, embedding space {result.space}: accepted", columns, rows)
