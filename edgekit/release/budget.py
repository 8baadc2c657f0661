"""What a recipe's `[release]` table demands: how large a model may be, and how slow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from edgekit.bench.schema import Result
from edgekit.errors import BudgetError, InputError
from edgekit.evaluation.timing import pick
from edgekit.recipe import ReleaseSpec
from edgekit.release.kinds import Checked
from edgekit.support.documents import mistake_in
from edgekit.support.files import sha256_tree, size_of

__all__ = ["check_budget", "demands_of"]


def demands_of(artifact: Checked) -> ReleaseSpec:
    """The `[release]` table of the recipe that an artifact was made from; InputError where its manifest has another."""
    try:
        return ReleaseSpec.model_validate(artifact.manifest.recipe.get("release", {}))
    except ValidationError as error:
        raise InputError(
            f"{artifact.folder}: its manifest's recipe has a bad table `release` ({mistake_in(error)}); export it again"
        ) from error


def check_budget(artifacts: Sequence[Checked], results: Iterable[Result] = ()) -> None:
    """Hold artifacts to their recipe's limits: the latest valid result of a device decides, without one a host's.

    Raises:
        BudgetError: one is too large or too slow, or nothing valid says how fast it is; names each.
    """
    measured = list(results)
    misses = [miss for artifact in artifacts for miss in _misses(artifact, measured)]
    if misses:
        more = f" (and {len(misses) - 1} more: {'; '.join(misses[1:])})" if len(misses) > 1 else ""
        raise BudgetError(f"{misses[0]}{more}; nothing was packaged")


def _misses(artifact: Checked, results: Sequence[Result]) -> list[str]:
    demands, target = demands_of(artifact), artifact.manifest.target.name
    model = artifact.folder / artifact.manifest.artifact
    size = size_of(model) / 1e6
    found = []
    if demands.max_mb is not None and size > demands.max_mb:
        found.append(
            f"{artifact.name} has {size:.2f} MB, the recipe's `max_mb` is {demands.max_mb:g}: quantize it, or raise "
            "the limit"
        )
    limit = demands.max_median_ms.get(target)
    if limit is not None and (slow := _slow(artifact.name, sha256_tree(model), limit, results)) is not None:
        found.append(slow)
    return found


def _slow(name: str, sha256: str, limit: float, results: Sequence[Result]) -> str | None:
    timed = pick(results, sha256)
    result = timed.device or timed.host
    if result is None:
        return f"{name} may take {limit:g} ms, and no result of `edgekit bench` says how long it takes: give `results`"
    median = result.latency_ms.p50
    if not result.validity.valid or median is None:
        why = ", ".join(result.validity.reasons) or "no median"
        return f"{name} was measured on {result.place}, which does not count ({why}): measure it again"
    if median <= limit:
        return None
    return (
        f"{name} takes {median:.2f} ms (median, {result.place}), the recipe's limit is {limit:g}: choose a smaller "
        "model or precision, or raise `max_median_ms`"
    )
