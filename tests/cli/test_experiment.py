"""`edgekit experiment`: what it prints, its exit codes, and errors that name its options."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Invoke, one_line
from tests.experiment.tables import shop, write


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write(tmp_path / "results.parquet", shop(lift=2.0))


def test_results_are_told_as_a_table_and_in_sentences(invoke: Invoke, results: Path) -> None:
    metrics = ("--metric", "revenue:covariate=revenue_before,want=up", "--metric", "ctr:column=clicks,per=views")
    result = invoke("experiment", results, *metrics, "--quiet")
    assert result.exit_code == 0, result.output
    assert "95 % intervals, correction holm" in result.stdout
    lines = [line for line in result.stdout.splitlines() if line.startswith(("revenue: ", "ctr: "))]
    assert len(lines) == 2
    assert "new is better than control" in lines[0]
    assert "no difference between new and control was shown" in lines[1]
    assert result.stderr == ""


def test_results_are_json_for_machines(invoke: Invoke, results: Path, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text('[[metrics]]\nname = "orders"\nwant = "up"\n')
    asked = ("--metric", tmp_path / "m.toml", "--sequential", 4000, "--json")
    result = invoke("experiment", "analyze", results, *asked)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    (row,) = document["comparisons"]
    assert (row["metric"], row["kind"], row["test"]) == ("orders", "rate", "always valid")
    assert [look["day"] for look in row["looks"]] == [f"2026-01-{day:02}" for day in range(1, 11)]
    assert row["relative_low"] < row["relative"] < row["relative_high"]
    assert invoke("experiment", "analyze", results, *asked).stdout == result.stdout


def test_wrong_sizes_of_the_arms_are_exit_code_15(invoke: Invoke, tmp_path: Path) -> None:
    columns = {**shop(), "arm": np.where(np.arange(4000) % 5 < 2, "new", "control")}
    result = invoke("experiment", "analyze", write(tmp_path / "a.parquet", columns), "--json")
    one_line(result, 15, "sample-ratio mismatch", "control 2400", "new 1600", "--shares")
    document = json.loads(result.stdout)
    assert (document["assignment"]["broken"], document["comparisons"]) == (True, [])


def test_errors_name_options(invoke: Invoke, results: Path, tmp_path: Path) -> None:
    one_line(invoke("experiment", "analyze", results, "--control", "old"), 2, "--control is 'old'", "control, new")
    one_line(invoke("experiment", "analyze", results, "--metric", "a:b"), 2, "--metric has 'a:b'")
    one_line(invoke("experiment", "analyze", results, "--metric", "order"), 3, "did you mean 'orders'?")
    one_line(invoke("experiment", "analyze", tmp_path / "none.csv"), 3, "no such file")
    one_line(invoke("experiment", "plan", "--baseline", 0.1), 2, "--effect or --relative", "--days and --daily")
    one_line(invoke("experiment", "plan", "--baseline", 0.1, "--days", 3), 2, "--days needs --daily")


def test_a_plan_is_told_in_figures_and_a_sentence(invoke: Invoke) -> None:
    asked = ("experiment", "plan", "--baseline", 0.5, "--effect", 0.25, "--power", "90%", "--daily", 50)
    result = invoke(*asked)
    assert result.exit_code == 0, result.output
    assert "Plan, worked out for the units" in result.stdout
    assert "With 154 units in 4 days (77 / 77, the control first)" in result.stdout
    document = json.loads(invoke(*asked, "--json").stdout)
    assert (document["units"], document["days"], document["solved"]) == (154, 4, "units")
    several = invoke("experiment", "plan", "--baseline", 20, "--sd", 10, "--units", 900, "--split", "1/1/1")
    assert "0.05 (0.025 an arm)" in several.stdout


@pytest.mark.parametrize(("errors", "answer", "code"), [(20, "continue", 0), (900, "stop", 16), (130, "wait", 17)])
def test_a_canary_has_three_exit_codes(invoke: Invoke, tmp_path: Path, errors: int, answer: str, code: int) -> None:
    (tmp_path / "c.csv").write_text(f"arm,n,errors\nstable,20000,20\nnext,20000,{errors}\n")
    result = invoke("experiment", "canary", tmp_path / "c.csv", "--json")
    assert json.loads(result.stdout)["answer"] == answer
    assert result.exit_code == code
    told = invoke("experiment", "canary", tmp_path / "c.csv", "--quiet")
    assert answer.capitalize() in told.stdout
    assert "error rate: " in told.stdout
    if code:
        one_line(told, code, "error rate")


def test_pages_say_the_answer_and_how_to_make_them_again(invoke: Invoke, results: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told = invoke("experiment", "analyze", results, "--metric", "revenue:want=up", "--page", page, "--quiet")
    assert told.exit_code == 0 and told.stdout.endswith(f"{page}\n")
    text = page.read_text()
    assert "Against control: new is better in revenue." in text
    assert f"<pre>edgekit experiment analyze {results} --metric revenue:want=up --page {page}</pre>" in text
    asked = ("experiment", "plan", "--baseline", 0.1, "--relative", "5%", "--daily", 20000)
    assert json.loads(invoke(*asked, "--page", page, "--json").stdout)["days"] == 6
    text = page.read_text()
    assert f"<pre>edgekit experiment plan --baseline 0.1 --relative 0.05 --daily 20000 --page {page}</pre>" in text
    (tmp_path / "c.csv").write_text("arm,n,errors\nstable,20000,20\nnext,20000,900\n")
    one_line(invoke("experiment", "canary", tmp_path / "c.csv", "--page", page, "--quiet"), 16, "error rate")
    assert "Stop the canary: the error rate is beyond the limit." in page.read_text()
    one_line(invoke(*asked, "--page", tmp_path / "page.txt"), 2, "--page is", ".html")


def test_a_missing_package_is_exit_code_9(invoke: Invoke, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for package in ("statsmodels", "scipy"):
        monkeypatch.setitem(sys.modules, package, None)
    for command in ("analyze", "canary"):
        one_line(invoke("experiment", command, results), 9, "pip install 'edgekit[evaluate]'")
    one_line(invoke("experiment", "plan", "--baseline", 0.1, "--effect", 0.01), 9, "pip install 'edgekit[evaluate]'")
