"""`edgekit evaluate generative`: tables, JSON, page, check list, and one line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import edgekit
from tests.conftest import Invoke, one_line


@pytest.fixture
def asked(tower_file: Path, tmp_path: Path) -> tuple[object, ...]:
    queries = tmp_path / "q.csv"
    rows = ["red mug,en", "rote Tasse,de", "taza roja,es", "something nice,en"]
    queries.write_text("text,language,item\n" + "".join(f"{row},listing-000001\n" for row in rows))
    command = ("evaluate", "generative", "catalog:8", "--with", tower_file.parent)
    return (*command, "--queries", queries, "--out", tmp_path / "out", "--workers", 1, "--resamples", 99)


def test_models_languages_and_texts_are_shown(invoke: Invoke, asked: tuple[object, ...], tmp_path: Path) -> None:
    page, review = tmp_path / "page.html", tmp_path / "list.csv"
    more = ("--at", 1, "--at", 3, "--page", page, "--review", review)
    result = invoke(*asked, *more, "--quiet")
    assert result.exit_code == 0, result.output
    for text in (
        "3 texts in a gallery of 8 photos",
        "recall@3 by language",
        "not understood: en-000004 something nice",
    ):
        assert text in result.stdout
    assert "1 of 4 texts were not understood." in result.stdout.splitlines()
    assert "No row of the check list has a human verdict yet; fill in its last column." in result.stdout.splitlines()
    assert result.stdout.endswith(f"{review}\n{page}\n")
    assert "warning: 1 of 4 texts are not understood by the generator" in result.stderr
    assert "edgekit evaluate generative catalog:8 --with" in page.read_text()
    read = invoke(*asked, *more, "--json")
    report = edgekit.GenerativeReport.model_validate_json(read.stdout)
    assert (report.judged, [row.language for row in report.languages]) == (3, ["en", "de", "es"])
    assert json.loads(read.stdout)["schema"] == "edgekit.generative/1"


def test_what_is_wrong_is_one_line_with_its_option(
    invoke: Invoke, asked: tuple[object, ...], tower_file: Path, tmp_path: Path
) -> None:
    one_line(invoke(*asked, "--metric", "ndcg@10"), 2, "--metric has no", "mrr@10")
    one_line(invoke(*asked, "--generator", "nothing"), 2, "--generator is 'nothing'")
    one_line(invoke(*asked, "--page", tmp_path / "page.txt"), 2, "--page is", ".html")
    one_line(invoke(*asked, "--pictures", tmp_path), 2, "--pictures needs --page")
    (tmp_path / "list.csv").write_text("id,name\n1,mine\n")
    one_line(invoke(*asked, "--review", tmp_path / "list.csv"), 3, "is no check list", "give another --review")
    command = ("evaluate", "generative", str(tmp_path / "nowhere"), "--with", tower_file.parent)
    one_line(invoke(*command), 3, "does not exist")
    assert (tmp_path / "list.csv").read_text() == "id,name\n1,mine\n"
