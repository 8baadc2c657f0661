"""The page of results: parity beside latency, and a plot whose points say both."""

from __future__ import annotations

from edgekit.bench import schema as s
from edgekit.bench.results.page import ACCURACY, LEAST, labels_of, page_of_results
from edgekit.report.document import Mark, Scatter, Table
from tests.bench.parity.documents import document
from tests.bench.results.test_store import result


def of(name: str, median: float, cosine: float | None, *, valid: bool = True) -> s.Result:
    """A result of a model of that parity."""
    made = result(median, name=name)
    changes: dict[str, object] = {"model": made.model.model_copy(update={"parity_min_cosine": cosine})}
    if not valid:
        changes["validity"] = s.Validity(valid=False, reasons=("throttled",))
    return made.model_copy(update=changes)


FOUND = [
    of("fast", 5.0, 0.99),
    of("exact", 50.0, 1.0),
    of("worse", 60.0, 0.999),
    of("cheat", 1.0, 1.0, valid=False),
    of("unknown", 4.0, None),
]


def test_parity_stands_beside_latency() -> None:
    table = page_of_results(FOUND, {}).sections[0]
    assert isinstance(table, Table)
    names = [column.name for column in table.columns]
    assert names.index("parity") == names.index("p50") + 1
    for row, one in zip(table.rows, FOUND, strict=True):
        cells = dict(zip(names, row.cells, strict=True))
        assert (cells["p50"], cells["parity"]) == (one.latency_ms.p50, one.model.parity_min_cosine)
        assert cells["valid"] == Mark(one.validity.line, "good" if one.validity.valid else "bad")
        assert row.dim is not one.validity.valid


def test_the_plot_has_the_front_of_valid_results_alone() -> None:
    (plot,) = (part for part in page_of_results(FOUND, {}).sections if isinstance(part, Scatter))
    assert plot.title == ACCURACY
    assert {point.group: (point.front, point.dim) for point in plot.points} == {
        "fast": (True, False),
        "exact": (True, False),
        "worse": (False, False),
        "cheat": (False, True),
    }
    assert plot.x.log and plot.y.log
    assert min(point.y for point in plot.points) == LEAST
    assert plot.note == "1 results without a parity or a latency are not in it."
    assert all("AMD EPYC" not in point.label and "AMD EPYC" in point.detail for point in plot.points)


def test_the_verdict_names_the_fastest_valid_result() -> None:
    verdict = page_of_results(FOUND, {}).verdict
    fast = FOUND[0]
    assert verdict.state == "mixed"
    assert verdict.text.startswith("5 results, 1 of them not valid; the fastest valid one is unknown")
    assert page_of_results([fast], {}).verdict.text == (
        f"1 result; the fastest is {fast.label}, {fast.place}: {fast.latency_ms.p50:.2f} ms."
    )
    assert page_of_results([FOUND[3]], {}).verdict.text == "1 result, 1 of them not valid."


def test_one_result_is_no_choice() -> None:
    assert not [part for part in page_of_results(FOUND[:1], {}).sections if isinstance(part, Scatter)]


def test_results_that_would_be_called_alike_have_their_time() -> None:
    first, second = result(10), result(11, started="2026-01-02T03:04:06Z")
    one, other = labels_of([first, second])
    assert one.endswith("2026-01-02T03:04:05Z") and other.endswith("2026-01-02T03:04:06Z")
    assert labels_of([first]) == [f"{first.label}, {first.place}"]


def test_parity_on_a_device_stands_beside_its_latency() -> None:
    first = FOUND[0].model_copy(update={"model": FOUND[0].model.model_copy(update={"sha256": "2" * 64})})
    runtime = {"backend": first.runtime.backend}
    same = document(model=first.model, device=first.device)
    same = same.model_copy(update={"runtime": same.runtime.model_copy(update=runtime)})
    failed = document(cosine=0.5).model_copy(update={"started_utc": "2026-02-02T03:04:05Z"})
    page = page_of_results([first, *FOUND[1:]], {}, parities=[same, failed])
    results, parities = page.sections[:2]
    assert isinstance(results, Table) and isinstance(parities, Table)
    names = [column.name for column in results.columns]
    beside = [row.cells[names.index("parity there")] for row in results.rows]
    assert beside == [Mark("pass 0.99995", "good"), *([None] * (len(FOUND) - 1))]
    assert parities.title == "Parity on devices" and len(parities.rows) == 2
    verdicts = [row.cells[[column.name for column in parities.columns].index("verdict")] for row in parities.rows]
    assert verdicts == [Mark("pass", "good"), Mark("fail", "bad")]
    assert page.verdict.text.endswith("parity on devices: 1 of 2 passed.") and page.verdict.state == "bad"
    worse = same.model_copy(update={"started_utc": "2026-03-02T03:04:05Z", "report": failed.report})
    (table, *_) = page_of_results([first], {}, parities=[worse, same]).sections
    assert isinstance(table, Table)
    assert table.rows[0].cells[names.index("parity there")] == Mark("fail 0.50000", "bad")  # the latest counts


def test_parity_alone_is_a_page() -> None:
    page = page_of_results([], {}, parities=[document()])
    assert [section.title for section in page.sections if isinstance(section, Table)] == ["Parity on devices"]
    assert page.verdict.text == "Parity on devices: 1 of 1 passed." and page.verdict.state == "good"
