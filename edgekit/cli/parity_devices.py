"""`edgekit parity --on android|ios|arm64`: compare on devices, keep what each gave, and print a row of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.cli.errors import end
from edgekit.cli.options import recipe_of, reporter_of
from edgekit.errors import EdgeKitError

if TYPE_CHECKING:
    from edgekit.bench.parity.document import DeviceParity

__all__ = ["compare_on_devices"]

_CHOOSING = ("serials", "all_devices", "app", "compute_units", "runner", "library", "threads")


def compare_on_devices(
    artifact: Path, on: str, options: dict[str, Any], allow_inconclusive: bool, *, as_json: bool, quiet: bool
) -> None:
    """Compare on each device, and end with the error of one that failed; what came is kept and shown before."""
    from edgekit.bench.parity.run import SAMPLES, ParityRequest, device_parity
    from edgekit.bench.parity.store import save
    from edgekit.bench.request import BenchRequest
    from edgekit.bench.results.store import Keeper
    from edgekit.cli.bench_tables import show_parities

    where = BenchRequest(artifacts=[artifact], on=on, **{name: options.pop(name) for name in _CHOOSING})
    keeper = Keeper(options.pop("out"), save)
    request = ParityRequest(
        where=where,
        images=options.pop("images"),
        samples=options.pop("samples") or SAMPLES,
        raw=options.pop("raw"),
    )
    documents: list[DeviceParity] = []
    errors: list[EdgeKitError | None] = []
    for finding in device_parity(request, recipe_of(options), reporter_of(quiet or as_json)):
        errors.append(finding.error)
        if finding.document is not None:
            documents.append(finding.document)
            keeper.keep(finding.document)
            errors.append(_verdict_of(finding.document, allow_inconclusive))
    show_parities(documents, keeper.written, as_json=as_json)
    end([*errors, *keeper.lost])


def _verdict_of(document: DeviceParity, allow_inconclusive: bool) -> EdgeKitError | None:
    try:
        document.report.raise_for_verdict(allow_inconclusive=allow_inconclusive)
    except EdgeKitError as error:
        return type(error)(f"{document.place}: {error}", field=error.field)
    return None
