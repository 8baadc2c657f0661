"""A comparison as rows and sentences."""

from __future__ import annotations

from edgekit.evaluation.choice import choose, marked
from edgekit.evaluation.compare_report import CompareReport, Row
from edgekit.evaluation.compare_table import table_of
from edgekit.evaluation.where import parse
from tests.evaluation.rows import row, value

WHERE = "latency_ms < 10"


def report(rows: list[Row]) -> CompareReport:
    condition = parse(WHERE, ("latency_ms",))
    done = marked(rows, "recall@10", condition)
    return CompareReport(
        data="photos",
        tasks=["similar"],
        best="recall@10",
        where=WHERE,
        currency="EUR",
        prices=[],
        rows=done,
        answer=choose(done, "recall@10", condition),
        notes=["the price table has no transfer, so downloads have no price"],
    )


def test_the_verdict_comes_first_and_every_column_says_how() -> None:
    rows = [
        row("fast", recall=value(0.7, 0.6, 0.8), latency_ms=5.0, size_mb=6.0, parameters=3_200_000.0),
        row("slow", recall=0.7, latency_ms=9.0, size_mb=6.0, price_per_month=12.5),
        row("broken", error="cannot be lowered"),
    ]
    told = table_of(report(rows))
    assert told.verdict[0] == "Ship fast under latency_ms < 10."
    titles = [column.title for column in told.columns]
    assert titles == ["model", "target", "precision", "recall@10", "ms", "MB", "M params", "EUR/month", "front"]
    assert told.lines[0].cells == (
        "fast",
        "onnx (onnx)",
        "fp32",
        "0.700 (0.60-0.80)",
        "5.00",
        "6.0",
        "3.2",
        "-",
        "SHIP",
    )
    assert [line.dominated for line in told.lines] == [False, True, True]
    assert [line.shipped for line in told.lines] == [True, False, False]
    assert told.lines[2].cells[-1] == "not exported"
    assert told.errors[0] == "broken: not exported: cannot be lowered"
    assert [title for title, _ in told.how] == titles[3:-1]
    assert all(how == "counted" for _, how in told.how)


def test_where_none_is_to_ship_the_nearest_is_marked() -> None:
    told = table_of(report([row("late", recall=0.7, latency_ms=11.0, size_mb=6.0)]))
    assert told.verdict[0] == "Ship none under latency_ms < 10."
    assert told.lines[0].cells[-1] == "front, nearest"
