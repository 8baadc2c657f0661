"""What a new version asks of the search team, in one line: nothing, the query adapter, or a gallery embedded again."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.artifact.manifest import SharedSpace
from edgekit.bench.schema import Result
from edgekit.errors import InputError
from edgekit.evaluation.compatibility import CompatibilityReport
from edgekit.evaluation.cost import Demand, costs
from edgekit.evaluation.prices import Prices
from edgekit.evaluation.timing import pick
from edgekit.release.bundle import Previous
from edgekit.release.material import Given
from edgekit.support.files import sha256_tree

__all__ = ["Known", "advise"]


@dataclass(frozen=True, eq=False)
class Known:
    """What is known about the change from one version to the next."""

    previous: Previous | None
    version: str
    space: str
    shared: SharedSpace | None = None  # why the space is that of an older model
    report: CompatibilityReport | None = None  # of the previous model and this one
    listings: int | None = None  # photos of the gallery
    artifacts: tuple[Given, ...] = ()  # that were measured
    results: tuple[Result, ...] = ()
    prices: Prices | None = None


def advise(known: Known) -> str:
    """The line for the search team.

    Raises:
        InputError: the report is not of the previous release's space and this one's, or says that they could be one.
    """
    before = known.previous
    if known.report is not None:
        _check_report(known.report, known)
    if before is None:
        return _first(known)
    if before.space == known.space:
        return _same(known, before)
    if known.report is not None and not known.report.reindex:
        raise InputError(
            f"the report of compatibility shows that the gallery of {before.version} serves this model as it is: name "
            "it as `compatibility` under [embedding] in the recipe, and export again; then there is nothing to do",
            field="compatibility",
        )
    line = f"Re-index: {known.version} has another embedding space than {before.version}; {_index(known)} again."
    if known.report is not None and known.report.adapter_serves:
        kind = known.report.chosen.replace("_", " ")
        line += f" Until then the {kind} adapter serves: it takes its queries to the gallery of {before.version}."
    return line


def _first(known: Known) -> str:
    if known.shared is not None:
        why = "is in the embedding space of an older model, whose gallery stays as it is"
        return f"First release: {known.version} {why} (space {known.space})."
    return f"First release: {_index(known)} with it, as embeddings of other models cannot be compared with its own."


def _same(known: Known, before: Previous) -> str:
    shared = known.shared
    if shared is not None and shared.kind == "adapter":
        return (
            f"Use the adapter, which is in this model: its queries go to the gallery of {before.version}, which stays "
            f"as it is (space {known.space})."
        )
    why = "was measured to serve the same gallery" if shared is not None else "is in the same embedding space"
    return f"Nothing to do: {known.version} {why} as {before.version} (space {known.space})."


def _index(known: Known) -> str:
    if known.listings is None:
        return "embed the gallery"
    cost = _cost(known)
    return f"embed {known.listings:,} listings ({cost or 'give results of a host to see the cost'})"


def _cost(known: Known) -> str | None:
    """What embedding them takes with the artifact that a host has measured to be the fastest."""
    demand = Demand(gallery=known.listings, instance=known.prices.instance_named(None) if known.prices else None)
    rows = []
    for artifact in known.artifacts:
        speed = pick(known.results, sha256_tree(artifact.path)).figures().get("images_per_second")
        if speed is not None:
            rows.append((speed.value, artifact.folder.name, costs(speed, 0, demand)))
    if not rows or known.listings is None:
        return None
    _, name, found = max(rows, key=lambda row: (row[0], row[1]))
    hours = found["core_hours_per_million"].value * known.listings / 1e6
    price = found.get("price_reembedding")
    money = "" if price is None or known.prices is None else f", {price.value:,.0f} {known.prices.currency}"
    return f"{hours:,.0f} core-hours{money} with {name} on the host that was measured"


def _check_report(report: CompatibilityReport, known: Known) -> None:
    if known.previous is None:
        raise InputError(
            "the report of compatibility is about an update; give the older model's release as `previous`",
            field="compatibility",
        )
    spaces = [None if side is None else side.space for side in (report.old, report.new)]
    own = known.shared.own if known.shared is not None else known.space
    due = [known.previous.space, own]
    if spaces != due:
        raise InputError(
            f"the report of compatibility compares the spaces {spaces[0]} and {spaces[1]}, this update goes from "
            f"{due[0]} to {due[1]}; compare these two models",
            field="compatibility",
        )
