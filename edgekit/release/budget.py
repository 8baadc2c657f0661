"""What a recipe's `[release]` table demands: how large a model may be, and how slow on each device."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import ValidationError

from edgekit.bench.schema import Reason, Result
from edgekit.errors import BudgetError, InputError
from edgekit.recipe import ReleaseSpec
from edgekit.release.material import Given
from edgekit.support.documents import mistake_in
from edgekit.support.files import sha256_tree
from edgekit.targets import platforms

__all__ = ["check_budget", "demands_of"]

_PHONES: Final = frozenset({"android", "ios"})
# With these a device is no faster than without: what is quick enough all the same, is.
_SLOWING: Final[frozenset[Reason]] = frozenset(
    {"background", "few-samples", "hot", "low-battery", "low-power", "throttled"}
)


def demands_of(artifact: Given) -> ReleaseSpec:
    """The `[release]` table of the recipe that an artifact was made from; InputError where its manifest has another."""
    try:
        return ReleaseSpec.model_validate(artifact.manifest.recipe.get("release", {}))
    except ValidationError as error:
        raise InputError(
            f"{artifact.folder}: its manifest's recipe has a bad table `release` ({mistake_in(error)}); export it again"
        ) from error


def check_budget(artifacts: Sequence[Given], results: Iterable[Result] = ()) -> None:
    """Hold artifacts to their recipe's limits: of each device the latest valid result decides, and every one must keep.

    A limit for android or ios is one for phones. Another target's is kept by hosts where no device was measured.

    Raises:
        InputError: a limit is for a target that there is not.
        BudgetError: one is too large or too slow, or nothing valid says how fast it is; names each.
    """
    measured = list(results)
    misses = [miss for artifact in artifacts for miss in _misses(artifact, measured)]
    if misses:
        more = f" (and {len(misses) - 1} more: {'; '.join(misses[1:])})" if len(misses) > 1 else ""
        raise BudgetError(f"{misses[0]}{more}; nothing was packaged")


def _misses(artifact: Given, results: Sequence[Result]) -> list[str]:
    demands, target = demands_of(artifact), artifact.manifest.target.name
    name, size = artifact.folder.name, artifact.bytes / 1e6
    found = []
    if demands.max_mb is not None and size > demands.max_mb:
        found.append(
            f"{name} has {size:.2f} MB, the recipe's `max_mb` is {demands.max_mb:g}: quantize it, or raise the limit"
        )
    if (limit := _limit(name, demands, target)) is not None:
        sha256 = sha256_tree(artifact.path)
        found += _slow(name, limit, target, [result for result in results if result.model.sha256 == sha256])
    return found


def _limit(name: str, demands: ReleaseSpec, target: str) -> float | None:
    known = platforms()
    for key in demands.max_median_ms:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}"
            raise InputError(f"{name}: its recipe's `max_median_ms` has a limit for {key}, which is no target; {hint}")
    return demands.max_median_ms.get(target)


def _slow(name: str, limit: float, target: str, results: Sequence[Result]) -> list[str]:
    """How the results of one artifact miss `limit`, in ms."""
    hosts = [result for result in results if result.tool.runner == "host"]
    devices = [result for result in results if result.tool.runner != "host"]
    real = [result for result in devices if not result.device.emulated]
    phones = target in _PHONES
    counted = real or devices if phones else real or hosts or devices
    if not counted:
        where = " on a phone" if phones else ""
        return [f"{name} may take {limit:g} ms, and no result of `edgekit bench`{where} says how long it takes: "
                "give `results`"]  # fmt: skip
    latest: dict[tuple[str, str | None], Result] = {}
    for result in sorted(counted, key=lambda row: (row.validity.valid, row.started)):
        latest[result.device.label, result.device.serial_sha256] = result
    return [miss for result in latest.values() if (miss := _miss(name, limit, result)) is not None]


def _miss(name: str, limit: float, result: Result) -> str | None:
    median = result.latency_ms.p50
    reasons = result.validity.reasons
    why = ", ".join(reasons) or "no median"
    if median is None or not _SLOWING.issuperset(reasons):
        return f"{name} was measured on {result.place}, which does not count ({why}): measure it again"
    if median <= limit:
        return None
    if reasons:
        return f"{name} takes {median:.2f} ms (median, {result.place}) for {limit:g}, but {why}: measure it again"
    return (
        f"{name} takes {median:.2f} ms (median, {result.place}), the recipe's limit is {limit:g}: choose a smaller "
        "model or precision, or raise `max_median_ms`"
    )
