"""Costs from throughput and prices, beside the same worked out by hand."""

from __future__ import annotations

import pytest

from edgekit.evaluation.cost import COSTS, Demand, costs
from edgekit.evaluation.prices import Instance, Transfer
from tests.evaluation.rows import value

INSTANCE = Instance(name="four", price_per_hour=0.4, cores=4, source="a page", date="2026-01-02")
TRANSFER = Transfer(name="cdn", price_per_gb=0.05, source="another page", date="2026-01-03")


def test_costs_are_those_worked_out_by_hand() -> None:
    demand = Demand(traffic=10_000_000, gallery=36_000_000, installs=2_000_000, instance=INSTANCE, transfer=TRANSFER)
    found = costs(value(20.0), 8_000_000, demand)
    assert tuple(found) == COSTS
    # A core makes 20 x 3600 = 72,000 in an hour: a million takes 13.889 core hours, of 0.1 each.
    assert found["core_hours_per_million"].value == pytest.approx(1e6 / 72_000)
    assert found["price_per_million"].value == pytest.approx(1e6 / 72_000 * 0.1)
    assert found["price_reembedding"].value == pytest.approx(36e6 / 72_000 * 0.1)
    # An instance makes 4 x 72,000 x 24 = 6,912,000 a day, so ten million need two.
    assert found["instances"].value == 2
    assert found["price_per_month"].value == pytest.approx(2 * 30 * 24 * 0.4)
    # 8 MB x 2,000,000 = 16,000 GB.
    assert found["price_installs"].value == pytest.approx(16_000 * 0.05)
    for name in COSTS[1:-1]:
        assert "four, 2026-01-02, a page" in found[name].how
        assert "counted" in found[name].how  # how the throughput was obtained
    assert "another page" in found["price_installs"].how


def test_a_little_traffic_still_needs_one_instance() -> None:
    assert costs(value(20.0), 1, Demand(traffic=1, instance=INSTANCE))["instances"].value == 1


def test_what_is_not_known_has_no_cost() -> None:
    assert costs(None, 8, Demand(traffic=1, gallery=1, instance=INSTANCE)) == {}
    assert list(costs(value(20.0), 8, Demand(traffic=1, gallery=1, installs=1))) == ["core_hours_per_million"]
    assert list(costs(value(20.0), 8, Demand(instance=INSTANCE))) == ["core_hours_per_million", "price_per_million"]
    assert list(costs(None, 8, Demand(installs=1, transfer=TRANSFER))) == ["price_installs"]
