"""What a model costs: embeddings on rented machines, the gallery embedded again, downloads to phones."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgekit.evaluation.compare_report import Value
from edgekit.evaluation.prices import Instance, Transfer

__all__ = ["COSTS", "DAYS", "Demand", "costs"]

DAYS = 30  # of a month
_MILLION = 1e6
# The names of the figures, in the order of a table.
COSTS = (
    "core_hours_per_million",
    "price_per_million",
    "instances",
    "price_per_month",
    "price_reembedding",
    "price_installs",
)


@dataclass(frozen=True)
class Demand:
    """What is asked of a model: embeddings a day, photos of the gallery, installs of the app; and what things cost."""

    traffic: float | None = None
    gallery: int | None = None
    installs: int | None = None
    instance: Instance | None = None
    transfer: Transfer | None = None


def costs(per_second: Value | None, size: int, demand: Demand) -> dict[str, Value]:
    """The figures of `COSTS` that can be had, in the currency of the table.

    A core of the instance is taken to be as fast as the one that was measured, and all cores to work at once; nothing
    but the model's own work is counted. What runs for a while is billed by the time it takes (`price_per_million`,
    `price_reembedding`); what must answer all day by whole instances that never stop (`price_per_month`).

    Args:
        per_second: embeddings a second of one core; None where it is not known.
        size: bytes that a phone downloads.
        demand: what is asked, and the prices.
    """
    found: dict[str, Value] = {}
    if per_second is not None and per_second.value:
        measured = {"measured": per_second.measured, "doubts": per_second.doubts}
        computed = _computing(per_second, per_second.value, demand)
        found = {name: value.model_copy(update=measured) for name, value in computed.items()}
    transfer = demand.transfer
    if transfer is not None and demand.installs is not None:
        price = size * demand.installs / 1e9 * transfer.price_per_gb
        how = f"{size} bytes x {demand.installs} installs x {transfer.price_per_gb:g} a GB ({_cited(transfer)})"
        found["price_installs"] = Value(value=price, how=how)
    return found


def _computing(measured: Value, per_second: float, demand: Demand) -> dict[str, Value]:
    hours = _MILLION / per_second / 3600
    found = {"core_hours_per_million": Value(value=hours, how=f"one core, {measured.how}")}
    instance = demand.instance
    if instance is None:
        return found
    hourly = instance.price_per_hour / instance.cores
    cores = "core" if instance.cores == 1 else "cores"
    rate = f"{instance.price_per_hour:g} an hour for {instance.cores} {cores} ({_cited(instance)})"
    alike = f"{rate}, each taken to be as fast as the core that was measured ({measured.how})"
    found["price_per_million"] = Value(value=hours * hourly, how=alike)
    if demand.traffic is not None:
        needed = max(1, math.ceil(demand.traffic / (per_second * instance.cores * 86400)))
        steady = f"whole instances for {demand.traffic:g} embeddings a day, spread evenly; {alike}"
        found["instances"] = Value(value=needed, how=steady)
        month = needed * DAYS * 24 * instance.price_per_hour
        found["price_per_month"] = Value(value=month, how=f"{DAYS} days of {steady}")
    if demand.gallery is not None:
        price = hours * hourly * demand.gallery / _MILLION
        found["price_reembedding"] = Value(value=price, how=f"{demand.gallery} photos; {alike}")
    return found


def _cited(row: Instance | Transfer) -> str:
    return f"{row.name}, {row.date}, {row.source}"
