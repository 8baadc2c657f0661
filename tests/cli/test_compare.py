"""`edgekit compare`: the table, the verdict with its commands, JSON, and bad input in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import edgekit
from tests.conftest import Invoke, one_line

TOWER = "tests.toys:tower"


@pytest.fixture
def out(published: Path, tmp_path: Path) -> Path:
    """The toy tower's export for ONNX."""
    (folder,) = published.glob("*-onnx-*")
    shutil.copytree(folder, tmp_path / "compared" / folder.name.replace("tower", "tower-64"))
    return tmp_path / "compared"


@pytest.fixture
def few(out: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    """What all calls share. The export is of the recipe without the sweep's name, and is taken for it."""
    monkeypatch.setattr("edgekit.evaluation.candidates._same_recipe", lambda *_: True)
    options = ("--sweep", "size=64", "--out", out, "--data", "catalog:20", "--resamples", 99, "--workers", 1)
    return (TOWER, *options, "--seconds", 0, "--quiet")


def test_the_table_the_verdict_and_the_commands_that_repeat_it(invoke: Invoke, few: tuple[object, ...]) -> None:
    shown = invoke("compare", *few, "--where", "latency_ms < 1e6 and size_mb < 8", "--installs", 1000)
    assert shown.exit_code == 0, shown.output
    for text in (
        "similar on synthetic catalogue",
        "recall@10",
        "USD downloads",
        "How the figures were obtained",
        "Ship tests.toys-tower-64-onnx-fp32 under latency_ms < 1e6 and size_mb < 8.",
        "edgekit embed catalog:20 --with",
        "edgekit evaluate retrieval embeddings.parquet --task similar",
        "edgekit bench",
    ):
        assert text in shown.stdout
    assert "price of m7g.large: 0.0816 USD per hour, 2 cores, 2026-06-17, https://" in shown.stdout
    none = invoke("compare", *few, "--where", "size_mb < 0.001")
    assert none.exit_code == 0
    assert "Ship none under size_mb < 0.001." in none.stdout
    assert "Nearest is tests.toys-tower-64-onnx-fp32" in none.stdout
    read = invoke("compare", *few, "--json")
    report = edgekit.CompareReport.model_validate_json(read.stdout)
    assert [row.name for row in report.rows] == ["tests.toys-tower-64-onnx-fp32"]


def test_the_page_has_the_command_that_makes_it_again(invoke: Invoke, few: tuple[object, ...], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told = invoke("compare", *few, "--where", "size_mb < 8", "--precision", "fp32,default", "--page", page)
    assert told.exit_code == 0, told.output
    assert told.stdout.endswith(f"{page}\n")
    text = page.read_text()
    assert "Ship tests.toys-tower-64-onnx-fp32 under size_mb &lt; 8." in text
    (typed,) = (line for line in text.splitlines() if line.startswith("<pre>edgekit compare"))
    assert f"{TOWER} --precision fp32,default --sweep size=64" in typed and f"--page {page}" in typed
    assert "<pre>edgekit evaluate retrieval embeddings.parquet --task similar</pre>" in text
    one_line(invoke("compare", *few, "--page", tmp_path / "page.txt"), 2, "--page is", ".html")


def test_nothing_that_could_be_exported_is_an_error(invoke: Invoke, tmp_path: Path) -> None:
    shown = invoke("compare", "tests.toys:raises", "--out", tmp_path / "out", "--data", "catalog:4", "--quiet")
    one_line(shown, 4, "nothing could be exported", "the configuration file is missing")
    assert "not exported" in shown.stdout


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--where", "latency_ms <"), 2, "--where, character 13: expected a number, found the end"),
        (("--where", "speed < 3"), 2, "no figure is called 'speed'"),
        (("--best", "accuracy"), 2, "--best: no figure is called 'accuracy'"),
        (("--task", "ads,smilar"), 2, "--task has no 'smilar'"),
        (("--precision", "int3"), 2, "--precision has no 'int3'"),
        (("--precision", "fp32,,int8"), 2, "has an empty part"),
        (("--plan", "plan.json"), 2, "is no assignment; write NAME=VALUE"),
        (("--sweep", "depth=3"), 2, "--sweep has no 'depth'"),
        (("--instance", "m9.huge"), 2, "the price table has no instance 'm9.huge'"),
        (("--traffic", "lots"), 2, "--traffic is 'lots'"),
        (("--prices", "none.toml"), 3, "cannot read the price table none.toml"),
        (("--target", "windows"), 2, "unknown target 'windows'"),
    ],
)
def test_bad_input_is_one_line(invoke: Invoke, tmp_path: Path, options: tuple[str, ...], code: int, words: str) -> None:
    one_line(invoke("compare", TOWER, "--out", tmp_path / "out", *options, "--quiet"), code, words)
    assert not (tmp_path / "out").exists()


def test_a_damaged_price_table_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text("[[instance")
    one_line(invoke("compare", TOWER, "--prices", path, "--out", tmp_path / "out", "--quiet"), 3, "not TOML")
