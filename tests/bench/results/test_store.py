"""Result files: hostile ones, the gate, and the page."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import click.testing
import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from edgekit.bench import schema as s
from edgekit.bench.results import compare
from edgekit.bench.results import store as results
from edgekit.bench.results.report import write_report
from edgekit.bench.results.validity import judge, summarize
from edgekit.errors import InputError, RegressionError, UsageError

Invoke = Callable[..., click.testing.Result]


def result(
    median: float = 10.0, *, name: str = "tower", seed: int = 0, started: str = "2026-01-02T03:04:05Z", **changes: Any
) -> s.Result:
    rng = np.random.default_rng(seed)
    samples = tuple(float(value) for value in median * (1 + 0.02 * rng.exponential(size=200)))
    made = s.Result(
        run_id=f"{seed:032x}",
        started_utc=started,
        tool=s.Tool(edgekit="0", runner="host"),
        model=s.Model(name=name, format="onnx", sha256="0" * 64, bytes=1000, input=(64, 64), parity_min_cosine=0.99),
        runtime=s.Runtime(name="onnxruntime", threads=1),
        device=s.Device(platform="linux", soc="AMD EPYC"),
        protocol=s.Protocol(warmup=1, min_iterations=100, min_duration_s=0, iterations=200, inputs=8),
        latency_ms=summarize(s.Latency(samples=samples)),
        check=s.Check(images=8, min_cosine=1.0, max_abs=0.0, passed=True),
        validity=s.Validity(valid=False),
    )
    return judge(made.model_copy(update=changes))


def test_a_result_is_read_back_and_keeps_to_the_printed_schema(tmp_path: Path, invoke: Invoke) -> None:
    (path,) = results.save([result()], tmp_path)
    assert s.read_result(path) == result()
    jsonschema.validate(json.loads(path.read_text()), json.loads(invoke("schema", "bench").stdout))


def test_a_name_never_leaves_the_folder(tmp_path: Path) -> None:
    (path,) = results.save([result(name="../../etc/passwd\n;$(rm -rf ~)")], tmp_path / "out")
    assert path.parent == tmp_path / "out"
    assert path.exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", "edgekit.bench/2"),
        ("run_id", "../../../x"),
        ("run_id", "0" * 32 + "\n"),
        ("validity", {"valid": True, "reasons": ["because"]}),
        ("latency_ms", {"samples": [-1.0]}),
        ("latency_ms", {"samples": ["10"]}),
        ("latency_ms", {"samples": [1e300]}),
        ("model", {"name": "x" * 501, "format": "onnx", "sha256": "0" * 64, "bytes": 1, "input": [1, 1]}),
        ("more", 1),
    ],
)
def test_a_document_that_is_no_result_is_one_line(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "x.bench.json"
    path.write_text(json.dumps(json.loads(result().to_json()) | {key: value}))
    with pytest.raises(InputError) as caught:
        s.read_result(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ['{"schema": NaN}', "[" * 100_000, '{"schema": "edgekit.bench/1", "x": 1e999}', ""])
def test_hostile_json_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.bench.json"
    path.write_text(text)
    with pytest.raises(InputError):
        s.read_result(path)


@pytest.mark.parametrize("inner", ["[]", '"a"', "-1"])
def test_a_million_mistakes_cost_no_more_than_one(tmp_path: Path, inner: str) -> None:
    path = tmp_path / "x.bench.json"
    many = ",".join([inner] * 1_000_000)
    path.write_text(f'{{"schema": "edgekit.bench/1", "latency_ms": {{"samples": [{many}]}}}}')
    with pytest.raises(InputError, match="samples"):
        s.read_result(path)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60, deadline=None
)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.bench.json"
    path.write_bytes(data)
    with pytest.raises(InputError):
        s.read_result(path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"device": s.Device(platform="android", emulated=True)}, "emulated"),
        ({"check": s.Check(images=8, min_cosine=0.5, passed=False)}, "wrong-output"),
        ({"state": s.States(before=s.State(thermal_status=0), after=s.State(thermal_status=1))}, "throttled"),
        ({"state": s.States(before=s.State(thermal_status=3))}, "hot"),
        ({"state": s.States(before=s.State(battery_pct=10, charging=False))}, "low-battery"),
        ({"state": s.States(after=s.State(low_power=True))}, "low-power"),
        ({"latency_ms": summarize(s.Latency(samples=(1.0,) * 50))}, "few-samples"),
        ({"latency_ms": summarize(s.Latency(samples=(1.0,) * 100 + (1.5,) * 100))}, "throttled"),
    ],
)
def test_what_makes_a_result_invalid_is_named(changes: dict[str, Any], reason: str) -> None:
    found = result(**changes).validity
    assert not found.valid
    assert found.reasons == (reason,)
    assert result().validity.valid


@pytest.mark.parametrize(
    ("memory", "line"),
    [
        (s.Memory(peak_rss=900_000_000, loaded=25_000_000), "+25.0 MB"),
        (s.Memory(peak_rss=900_000_000), "peak 900.0 MB"),
        (s.Memory(), "-"),
    ],
)
def test_memory_is_what_the_model_added(memory: s.Memory, line: str) -> None:
    assert memory.line == line


def test_diff_says_what_is_and_what_is_not_shown(invoke: Invoke, tmp_path: Path) -> None:
    paths = results.save([result(10), result(10, seed=1), result(12, seed=2)], tmp_path)
    shown = json.loads(invoke("bench", "diff", paths[0], paths[2], "--json").stdout)["differences"][0]
    assert shown["ratio"] == pytest.approx(1.2, rel=0.02)
    assert shown["verdict"].endswith("slower")
    same = json.loads(invoke("bench", "diff", paths[0], paths[1], "--json").stdout)["differences"][0]
    assert same["verdict"] == "no difference shown"
    assert "run" in same["unlike"]


def test_the_gate_passes_and_fails(invoke: Invoke, tmp_path: Path) -> None:
    results.save([result(10)], tmp_path / "base")
    for folder, median in (("same", 10.1), ("slow", 12)):
        results.save([result(median, seed=3)], tmp_path / folder)
    gate = ("--compare", tmp_path / "base", "--fail-above", "5%")
    assert invoke("bench", "report", tmp_path / "same", *gate).exit_code == 0
    failed = invoke("bench", "report", tmp_path / "slow", *gate)
    assert failed.exit_code == RegressionError.exit_code
    assert "slower, more than 5.0%" in failed.stderr
    assert "95 % interval" in failed.stdout  # the table comes all the same
    assert (
        invoke("bench", "report", tmp_path / "slow", "--compare", tmp_path / "base", "--fail-above", "0.5").exit_code
        == 0
    )


@pytest.mark.parametrize("share", ["x%", "-5%", "nan", "1e9", "5"])
def test_a_share_that_is_none_is_refused(invoke: Invoke, tmp_path: Path, share: str) -> None:
    results.save([result()], tmp_path)
    refused = invoke("bench", "report", tmp_path, "--compare", tmp_path, "--fail-above", share)
    assert refused.exit_code == 2


def test_the_gate_fails_closed() -> None:
    emulated = result(9, seed=4, device=s.Device(platform="linux", soc="AMD EPYC", emulated=True))
    assert "not valid (emulated)" in str(compare.gate([emulated], [result()], 0.05).error)
    assert "no baseline" in str(compare.gate([result(name="other")], [result()], 0.05).error)


def test_the_gate_takes_the_latest_baseline() -> None:
    old, new = result(20, started="2025-01-01T00:00:00Z"), result(10, seed=1)
    verdict = compare.gate([result(10, seed=2)], [new, old], 0.05)
    assert verdict.error is None
    (found,) = verdict.differences
    assert found.base == new


def phone(units: str, **changes: Any) -> s.Result:
    runtime = s.Runtime(name="coreml", backend=units)
    return result(tool=s.Tool(edgekit="0", runner="ios-app"), runtime=runtime, **changes)


def host(cores: int) -> s.Device:
    return s.Device(platform="linux", soc="AMD EPYC", cores=tuple(s.Core(id=core) for core in range(cores)))


@pytest.mark.parametrize(
    ("new", "base"),
    [
        (phone("cpuOnly"), phone("all")),
        (result(), result(tool=s.Tool(edgekit="0", runner="android-native"))),
        (result(device=host(2)), result(device=host(64))),
        (result(), result(model=result().model.model_copy(update={"precision": "fp16"}))),
        (result(), result(runtime=s.Runtime(name="onnxruntime", threads=4))),
        (result(), result(model=result().model.model_copy(update={"input": (128, 128)}))),
    ],
)
def test_a_baseline_is_one_that_was_measured_alike(new: s.Result, base: s.Result) -> None:
    verdict = compare.gate([new], [base], 10.0)
    assert "no baseline" in str(verdict.error)
    again = new.model_copy(update={"run_id": "9" * 32})
    assert compare.gate([new], [base, again], 10.0).error is None
    assert compare.difference(new, base).unlike


def on(serial: str, median: float, *, seed: int, started: str = "2026-01-02T03:04:05Z") -> s.Result:
    lab = s.Lab(provider="shelf", serial_sha256=serial * 64)
    return result(median, seed=seed, started=started, device=s.Device(platform="android", model="Fone 7", lab=lab))


def test_every_phone_is_judged_and_against_itself() -> None:
    bases = [on("a", 10, seed=1), on("b", 14, seed=2, started="2026-01-02T03:04:06Z")]
    news = [on("a", 13.5, seed=3), on("b", 13.5, seed=4, started="2026-01-03T00:00:00Z")]
    verdict = compare.gate(news, bases, 0.05)
    assert [failed for failed, _ in verdict.failures] == news[:1]
    assert "1 of 2" in str(verdict.error)
    stranger = on("c", 13.5, seed=5)
    assert compare.gate([stranger], bases, 0.05).error is None  # such a phone, the latest


def of(digit: str, one: s.Result) -> s.Result:
    return one.model_copy(update={"model": one.model.model_copy(update={"sha256": digit * 64})})


def test_no_result_is_its_own_baseline(invoke: Invoke, tmp_path: Path) -> None:
    slow = of("1", result(20, seed=1, started="2026-01-03T00:00:00Z"))
    known = slow.model_copy(update={"device": slow.device.model_copy(update={"lab": s.Lab(provider="firebase")})})
    for same in (slow, known):  # an import may add to it
        assert compare.gate([slow], [result(), same], 0.05).error is not None
    results.save([result()], tmp_path)
    results.save([slow], tmp_path / "new")
    assert invoke("bench", "report", tmp_path / "new", "--compare", tmp_path).exit_code == RegressionError.exit_code
    assert invoke("bench", "report", tmp_path, "--compare", tmp_path).exit_code == RegressionError.exit_code


def test_a_first_try_does_not_lower_the_bar() -> None:
    old = result(10)
    first, second = (of("1", result(20, seed=n, started=f"2026-01-0{2 + n}T00:00:00Z")) for n in (1, 2))
    assert compare.gate([second], [old, first], 0.05).error is not None
    better = of("1", result(8, seed=3, started="2026-01-03T00:00:00Z"))
    assert compare.gate([second], [result(30), better], 0.05).error is not None


def test_a_phone_that_was_not_measured_again_is_named(invoke: Invoke, tmp_path: Path) -> None:
    bases, new = [on("a", 10, seed=1), on("b", 10, seed=2)], on("a", 10, seed=3)
    verdict = compare.gate([new], bases, 0.05)
    assert verdict.error is None
    assert list(verdict.left) == bases[1:]
    results.save(bases, tmp_path / "base")
    results.save([new], tmp_path / "new")
    told = invoke("bench", "report", tmp_path / "new", "--compare", tmp_path / "base")
    assert told.exit_code == 0
    assert "#bbbbbb" in told.stderr and "not measured again" in told.stderr and "#aaaaaa" in told.stdout


def test_of_files_of_one_name_each_size_has_its_baseline() -> None:
    small, large = (
        result(median, seed=size, model=result().model.model_copy(update={"input": (size, size)}))
        for median, size in ((3, 128), (10, 224))
    )
    again = large.model_copy(update={"run_id": "9" * 32})
    verdict = compare.gate([again], [small, large], 0.05)
    assert [one.base for one in verdict.differences] == [large]


def test_links_to_folders_are_not_left_out_unseen(invoke: Invoke, tmp_path: Path) -> None:
    results.save([result()], tmp_path / "base")
    results.save([result(seed=1)], tmp_path / "elsewhere")
    (tmp_path / "base" / "more").symlink_to(tmp_path / "elsewhere")
    results.save([result(seed=2)], tmp_path / "new")
    refused = invoke("bench", "report", tmp_path / "new", "--compare", tmp_path / "base")
    assert refused.exit_code == 3
    assert "not followed" in refused.stderr


def test_of_two_baselines_that_began_at_once_the_faster_counts() -> None:
    bases = [result(10, seed=1), result(20, seed=2)]
    for order in (bases, bases[::-1]):
        assert compare.gate([result(15, seed=3)], order, 0.05).error is not None


def test_an_unknown_device_has_no_baseline() -> None:
    nobody = s.Device(platform="android")
    assert compare.gate([result(device=nobody, seed=1)], [result(device=nobody)], 0.05).error is not None


@pytest.mark.parametrize("damage", ["baseline", "new", "empty"])
def test_with_a_gate_nothing_is_left_out(invoke: Invoke, tmp_path: Path, damage: str) -> None:
    for folder in ("baseline", "new"):
        results.save([result(seed=1)], tmp_path / folder)
        results.save([result(seed=2, started="2026-01-03T00:00:00Z")], tmp_path / folder)
    if damage == "empty":
        (tmp_path / "empty").mkdir()
    else:
        broken = max((tmp_path / damage).iterdir())
        broken.write_bytes(broken.read_bytes()[:500])
    folders = [tmp_path / name for name in ("new", "empty") if (tmp_path / name).exists()]
    refused = invoke("bench", "report", *folders, "--compare", tmp_path / "baseline")
    assert refused.exit_code == 3
    assert damage in refused.stderr and "nothing is left out" in refused.stderr


def test_a_verdict_is_made_anew(tmp_path: Path) -> None:
    document = json.loads(result().to_json())
    document["check"] |= {"min_cosine": 0.1, "passed": True}
    assert document["validity"]["valid"]
    (tmp_path / "x.bench.json").write_text(json.dumps(document))
    assert results.load(tmp_path / "x.bench.json").validity.reasons == ("wrong-output",)


@pytest.mark.parametrize(
    "started", ["9999-12-31T23:59:59Z", "9999-99-99T99:99:99Z", "2026-02-30T00:00:00Z", "٢٠٢٥-01-02T00:00:00Z"]
)
def test_a_time_that_cannot_be_is_refused(tmp_path: Path, started: str) -> None:
    (tmp_path / "x.bench.json").write_text(json.dumps(json.loads(result().to_json()) | {"started_utc": started}))
    with pytest.raises(InputError, match=r"clock|started_utc"):
        results.load(tmp_path / "x.bench.json")


def test_a_name_does_not_steer_the_terminal(invoke: Invoke, tmp_path: Path) -> None:
    results.save(
        [result(name="x\n\x1b]0;title\x07", check=s.Check(images=8, min_cosine=0.1, passed=False))], tmp_path / "a"
    )
    results.save([result(name="x\n\x1b]0;title\x07")], tmp_path / "b")
    closed = invoke("bench", "report", tmp_path / "a", "--compare", tmp_path / "b")
    assert closed.exit_code == RegressionError.exit_code
    assert "\x1b" not in closed.stderr + closed.stdout
    assert len(closed.stderr.strip().splitlines()) == 1


def test_each_result_that_fails_is_counted_once() -> None:
    bad = result(30, device=s.Device(platform="linux", soc="AMD EPYC", emulated=True))
    told = str(compare.gate([bad], [result()], 0.05).error)
    assert told.startswith("1 of 1 results fail: ")
    assert "not valid (emulated)" in told and "slower" in told


@pytest.mark.parametrize("samples", [(), (1.0,) * 19, (0.0,) * 100])
def test_what_cannot_be_compared_is_named(samples: tuple[float, ...]) -> None:
    odd = result(latency_ms=summarize(s.Latency(samples=samples)))
    with pytest.raises(UsageError, match=r"tower \(onnx\): .*sample"):
        compare.difference(result(), odd)
    assert "sample" in str(compare.gate([odd], [result()], 0.05).error)
    assert compare.differences_of_turns([result(), odd]) == []


def test_figures_are_those_of_the_samples(tmp_path: Path) -> None:
    document = json.loads(result().to_json())
    document["latency_ms"] |= {"p50": 0.001, "mean": 1.0}
    (tmp_path / "x.bench.json").write_text(json.dumps(document))
    ((found,), refused) = results.find_results([tmp_path])
    assert refused == []
    assert found == result()


def test_a_result_that_is_found_twice_counts_once(tmp_path: Path) -> None:
    (path,) = results.save([result()], tmp_path)
    assert results.find_results([tmp_path, path, tmp_path])[0] == [result()]


def test_a_foreign_file_is_named_and_the_others_are_told(invoke: Invoke, tmp_path: Path) -> None:
    results.save([result()], tmp_path)
    (tmp_path / "other.bench.json").write_text("{}")
    shown = invoke("bench", "report", tmp_path, "--json")
    assert shown.exit_code == 0
    assert len(json.loads(shown.stdout)["results"]) == 1
    assert "other.bench.json" in shown.stderr
    gated = invoke("bench", "report", tmp_path, "--compare", tmp_path)
    assert gated.exit_code == 3
    assert "other.bench.json" in gated.stderr


def test_the_gate_is_told_to_machines_and_on_the_page(invoke: Invoke, tmp_path: Path) -> None:
    results.save([result(10)], tmp_path / "base")
    results.save([result(12, seed=3)], tmp_path / "new")
    gate = ("bench", "report", tmp_path / "new", "--compare", tmp_path / "base", "--out", tmp_path / "page", "--json")
    closed = invoke(*gate)
    told = json.loads(closed.stdout)
    assert closed.exit_code == RegressionError.exit_code
    assert told["passed"] is False
    (failure,) = told["failures"]
    assert failure["model"] == "tower" and failure["on"] == "AMD EPYC, 1 thread" and "slower" in failure["reasons"][0]
    assert str(tmp_path / "page" / "report.html") in told["files"]
    page = (tmp_path / "page" / "report.html").read_text()
    assert "1 of 1 fail." in page and failure["reasons"][0] in page
    opened = json.loads(invoke(*gate, "--fail-above", "50%").stdout)
    assert opened["passed"] is True and opened["failures"] == []
    assert "Passed." in (tmp_path / "page" / "report.html").read_text()


@pytest.mark.parametrize("name", ["we ird$x_$", "$\\frac{", "模型"])
def test_any_name_can_be_drawn(tmp_path: Path, name: str, recwarn: pytest.WarningsRecorder) -> None:
    write_report([result(name=name), result(name=name, seed=1)], tmp_path)
    assert "svg" in (tmp_path / "report.html").read_text()
    assert not recwarn.list


def test_variants_are_told_apart_in_plots(tmp_path: Path) -> None:
    half = result().model.model_copy(update={"precision": "fp16"})
    write_report([result(), result(seed=1, started="2026-01-03T00:00:00Z"), result(model=half)], tmp_path)
    drawn = (tmp_path / "distribution.svg").read_text()
    for told in ("tower (onnx), AMD EPYC", "2026-01-03", "tower (onnx fp16), AMD EPYC"):
        assert told in drawn


@pytest.mark.parametrize("command", [("report",), ("import",)])
def test_an_out_that_cannot_be_is_one_line(invoke: Invoke, tmp_path: Path, command: tuple[str, ...]) -> None:
    results.save([result()], tmp_path / "in")
    (tmp_path / "file").write_text("mine")
    refused = invoke("bench", *command, tmp_path / "in", "--out", tmp_path / "file" / "sub", "--quiet")
    assert refused.exit_code == 8
    assert "another" in refused.stderr and "out" in refused.stderr


def test_a_folder_is_no_result(invoke: Invoke, tmp_path: Path) -> None:
    results.save([result()], tmp_path)
    refused = invoke("bench", "diff", tmp_path, tmp_path)
    assert refused.exit_code == 3
    assert "give a result file" in refused.stderr


def test_a_command_that_is_mistyped_is_guessed(invoke: Invoke, tmp_path: Path) -> None:
    for typed, meant in (("dif", "diff"), ("Report", "report")):
        refused = invoke("bench", typed, "a", "b")
        assert refused.exit_code == 2
        assert f"did you mean {meant}?" in refused.stderr


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags, self.links, self.text = list[str](), list[str](), ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href") and value and value[0] != "#"]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_report_is_one_page_that_asks_nothing_of_the_net(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    found = [
        result(10),
        result(12, seed=1, name=hostile),
        result(9, seed=2, device=s.Device(platform="ios", emulated=True)),
    ]
    written = write_report(found, tmp_path)
    plots = {f"{name}.{kind}" for name in ("distribution", "drift", "accuracy") for kind in ("svg", "png")}
    assert {path.name for path in written} == {"report.html", "results.csv", "results.parquet"} | plots
    page = Page()
    page.feed((tmp_path / "report.html").read_text())
    assert page.tags.count("figure") == 3
    assert page.tags.count("script") == 1  # the template's own
    assert not page.links
    assert hostile in page.text
    assert "no: emulated" in page.text


def test_a_report_s_csv_holds_no_formula(tmp_path: Path) -> None:
    write_report([result(name="=cmd|' /C calc'!A0")], tmp_path)
    with (tmp_path / "results.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["model"].startswith("'=")
    assert float(row["p50"]) > 0
    (same,) = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert same["model"] == "=cmd|' /C calc'!A0"
    assert same["p50"] == float(row["p50"])


def test_a_folder_without_results_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("bench", "report", tmp_path).exit_code == 3


def test_a_report_replaces_reports_only(invoke: Invoke, tmp_path: Path) -> None:
    results.save([result()], tmp_path / "in")
    out = tmp_path / "out"
    out.mkdir()
    (out / "results.csv").write_text("precious")
    refused = invoke("bench", "report", tmp_path / "in", "--out", out, "--quiet")
    assert refused.exit_code == 8 and "results.csv" in refused.stderr
    assert [path.name for path in out.iterdir()] == ["results.csv"]
    assert (out / "results.csv").read_text() == "precious"
    (out / "results.csv").unlink()
    (out / "notes.txt").write_text("stay")
    for _ in range(2):
        assert invoke("bench", "report", tmp_path / "in", "--out", out, "--quiet").exit_code == 0
    assert (out / "notes.txt").read_text() == "stay"
