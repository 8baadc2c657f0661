"""`edgekit evaluate`: tables, JSON, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import edgekit
from edgekit.evaluation.galleries import unit
from tests.conftest import Invoke, one_line
from tests.evaluation.made import listings, write

VALUES, COLUMNS = listings(120)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write(tmp_path / "photos.parquet", VALUES, COLUMNS)


def test_retrieval_shows_arrangements_segments_and_worst_queries(invoke: Invoke, photos: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).standard_normal(VALUES.shape)
    small = write(tmp_path / "small.parquet", VALUES + noise, COLUMNS, model="small")
    options = ("--against", photos, "--mixed", "--form", "plain", "--form", "pq=4", "--by", "category", "--worst", 2)
    shown = invoke("evaluate", "retrieval", small, *options, "--resamples", 99, "--at", 1, "--at", 10, "--quiet")
    assert shown.exit_code == 0, shown.output
    for text in ("similar: 240 queries", "original", "mixed", "pq=4", "recall@10", "shoes", "Worst queries of pq=4"):
        assert text in shown.stdout
    read = invoke("evaluate", "retrieval", small, *options, "--resamples", 99, "--at", 1, "--at", 10, "--json")
    report = edgekit.RetrievalReport.model_validate_json(read.stdout)
    assert [row.name for row in report.arrangements] == ["original", "mixed", "plain", "pq=4"]
    assert len(report.segments) == 12
    assert "original: no segment is shown to be served worse" in shown.stdout.splitlines()
    assert len(report.worst) == 2


def test_segments_that_are_served_worse_are_named(invoke: Invoke, photos: Path, tmp_path: Path) -> None:
    hats = np.array(COLUMNS["category"]) == "hats"
    noise = np.where(hats[:, None], 2.0, 0.05) * np.random.default_rng(1).standard_normal(VALUES.shape)
    small = write(tmp_path / "small.parquet", VALUES + noise, COLUMNS, model="small")
    options = ("--against", photos, "--by", "category", "--metric", "ndcg@10", "--resamples", 499, "--quiet")
    said = invoke("evaluate", "retrieval", small, *options).stdout.splitlines()[-1]
    assert said.startswith("plain: serves worse than average: category=hats (by 0.")
    assert "; gap wider than in original: category=hats (by 0." in said


def test_notes_are_warnings(invoke: Invoke, photos: Path) -> None:
    shown = invoke("evaluate", photos, "--at", 1000, "--resamples", 99, "--quiet")
    assert shown.exit_code == 0
    assert "warning: the gallery has 239 rows besides the query, fewer than k = 1000" in shown.stderr


def test_a_page_is_written_and_says_how_to_make_it_again(invoke: Invoke, photos: Path, tmp_path: Path) -> None:
    page, given = tmp_path / "page.html", ("--worst", 2, "--form", "plain", "--form", "int8", "--resamples", 99)
    shown = invoke("evaluate", "retrieval", photos, *given, "--page", page, "--quiet")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.endswith(f"{page}\n")
    typed = f"edgekit evaluate retrieval {photos} --form plain --form int8 --worst 2 --page {page} --resamples 99"
    assert f"<pre>{typed}</pre>" in page.read_text()
    assert json.loads(invoke("evaluate", "retrieval", photos, *given, "--page", page, "--json").stdout)["task"]
    asked = ("evaluate", "retrieval", photos, "--pictures", tmp_path)
    one_line(invoke(*asked), 2, "--pictures needs --page")
    one_line(invoke(*asked, "--page", page), 2, "--pictures shows the worst rows; give --worst")
    one_line(invoke(*asked, "--page", page, "--worst", 1), 3, "holds no image")
    one_line(invoke("evaluate", "retrieval", photos, "--page", photos), 2, "--page is", ".html")
    (tmp_path / "file").write_text("mine")
    refused = invoke("evaluate", "retrieval", photos, "--page", tmp_path / "file" / "page.html", "--quiet")
    one_line(refused, 8, "page.html")
    assert "recall@10" in refused.stdout  # what was computed is told


def test_drift_ends_with_an_exit_code_of_its_own(invoke: Invoke, photos: Path, tmp_path: Path) -> None:
    moved = write(tmp_path / "moved.parquet", VALUES + 1.0, COLUMNS)
    same = invoke("evaluate", "drift", photos, photos, "--by", "style", "--permutations", 99, "--quiet")
    assert same.exit_code == 0, same.output
    for text in ("no drift shown", "style=review", "of 10 neighbours changed", "Items that drifted most"):
        assert text in same.stdout
    alert = invoke("evaluate", "drift", photos, moved, "--permutations", 99, "--json")
    one_line(alert, 13, "the embeddings drifted: all rows")
    assert json.loads(alert.stdout)["alert"] is True
    few = invoke(
        "evaluate", "drift", photos, moved, "--by", "category", "--alpha", 0.05, "--permutations", 19, "--quiet"
    )
    assert "tests can only raise an alert with 99 --permutations or more" in few.stderr


def test_compatibility_gives_a_verdict_and_an_adapter(invoke: Invoke, photos: Path, tmp_path: Path) -> None:
    turn = np.linalg.qr(np.random.default_rng(7).standard_normal((16, 16)))[0]
    turned, out = write(tmp_path / "turned.parquet", VALUES @ turn, COLUMNS, model="new"), tmp_path / "a.safetensors"
    shown = invoke("evaluate", "compatibility", photos, turned, "--adapter", out, "--resamples", 99, "--quiet")
    assert shown.exit_code == 0, shown.output
    assert "must be embedded again" in shown.stdout
    assert "(chosen)" in shown.stdout
    assert out.is_file()
    read = invoke("evaluate", "compatibility", photos, turned, "--resamples", 99, "--json")
    assert json.loads(read.stdout)["written"] is None


def test_pages_are_written_whatever_the_exit_code_and_say_how_to_make_them_again(
    invoke: Invoke, photos: Path, tmp_path: Path
) -> None:
    moved, page = write(tmp_path / "moved.parquet", VALUES + 1.0, COLUMNS), tmp_path / "page.html"
    alert = invoke("evaluate", "drift", photos, moved, "--permutations", 99, "--page", page, "--quiet")
    one_line(alert, 13, "the embeddings drifted")
    text = page.read_text()
    assert "The embeddings drifted, by the tests of all rows." in text
    assert f"<pre>edgekit evaluate drift {photos} {moved} --permutations 99 --page {page}</pre>" in text
    one_line(invoke("evaluate", "drift", photos, moved, "--pictures", tmp_path), 2, "--pictures needs --page")
    turned = write(tmp_path / "turned.parquet", VALUES[:, ::-1].copy(), COLUMNS, model="new")
    asked = ("evaluate", "compatibility", photos, turned, "--resamples", 99)
    assert invoke(*asked, "--page", page, "--quiet").stdout.endswith(f"{page}\n")
    assert "Embed the old gallery again" in page.read_text()
    one_line(invoke(*asked, "--page", tmp_path / "page.pdf"), 2, "--page is", ".html")


def test_errors_name_options(invoke: Invoke, photos: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.parquet", VALUES, COLUMNS, model="other")
    one_line(invoke("evaluate", "retrieval", photos, other), 3, "--other-models", "photos.parquet")
    one_line(invoke("evaluate", "drift", photos, other), 3, "--other-models")
    one_line(invoke("evaluate", "retrieval", photos, "--form", "zip"), 2, "--form has no 'zip'")
    one_line(invoke("evaluate", "retrieval", photos, "--mixed"), 2, "--mixed needs --against")
    one_line(invoke("evaluate", "retrieval", photos, "--task", "nosuch"), 2, "--task", "buyer-to-seller")
    one_line(invoke("evaluate", "retrieval", photos, "--by", "light"), 3, "no column light")
    one_line(invoke("evaluate", "retrieval", tmp_path / "no.parquet"), 3, "no.parquet")
    one_line(invoke("evaluate", "retrieval", "catalog-s0"), 2, "QUERIES", "edgekit embed")
    one_line(invoke("evaluate", "compatibility", photos, tmp_path / "no.parquet"), 3, "no.parquet")


TOWER = "tests.toys:tower"


def test_data_are_embedded_with_a_model_and_compared_with_another(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "photos.parquet"
    assert invoke("embed", "catalog:16", "--with", TOWER, "--out", file, "--workers", 1, "--quiet").exit_code == 0
    asked = ("--task", "visual-search", "--resamples", 99, "--at", 3, "--workers", 1, "--json")
    by_file = json.loads(invoke("evaluate", "retrieval", file, "--against", file, "--mixed", *asked).stdout)
    options = ("--with", TOWER, "--against", TOWER, "--mixed")
    by_model = json.loads(invoke("evaluate", "retrieval", "catalog:16", *options, *asked).stdout)
    assert by_model == by_file
    assert [row["name"] for row in by_model["arrangements"]] == ["original", "mixed", "plain"]
    two = json.loads(invoke("evaluate", "retrieval", "catalog:16", "catalog:16", *options, *asked).stdout)
    assert two["arrangements"] == by_file["arrangements"]
    assert not list(tmp_path.glob("*.part"))


def test_drift_and_compatibility_embed_too(invoke: Invoke) -> None:
    options = ("--workers", 1, "--json")
    drift = invoke("evaluate", "drift", "catalog:60", "catalog:60", "--with", TOWER, "--permutations", 99, *options)
    assert (drift.exit_code, json.loads(drift.stdout)["alert"]) == (0, False)
    given = ("evaluate", "compatibility", TOWER, TOWER, "--data", "catalog:200", "--resamples", 99)
    assert json.loads(invoke(*given, *options).stdout)["reindex"] is False


def test_an_adapter_goes_into_the_artifact_and_searches_the_old_gallery(invoke: Invoke, tmp_path: Path) -> None:
    old, adapter, quick = "tests.toys:other_tower", tmp_path / "adapter.safetensors", ("--workers", 1, "--quiet")
    made = invoke("evaluate", "compatibility", old, TOWER, "--data", "catalog:200", "--adapter", adapter, *quick)
    assert made.exit_code == 0, made.output
    given = ("export", TOWER, "--adapter", adapter, "--target", "onnx", "--samples", 24, "--out", tmp_path, "--quiet")
    assert invoke(*given).exit_code == 0
    files = {}
    for name, model in (("bare", TOWER), ("adapted", tmp_path / "tests.toys-tower-adapted-onnx-fp32")):
        files[name] = tmp_path / f"{name}.parquet"
        assert invoke("embed", "catalog:12", "--with", model, "--out", files[name], *quick).exit_code == 0
    weight = load_file(adapter)["weight"]
    bare, adapted = (edgekit.read_embeddings(files[name]).values for name in ("bare", "adapted"))
    assert adapted == pytest.approx(unit(bare @ weight.T), abs=1e-4)
    one_line(invoke("export", old, "--adapter", adapter, "--target", "onnx", "--quiet"), 3, "another model")


def test_what_cannot_be_embedded_is_one_line(invoke: Invoke, photos: Path) -> None:
    one_line(invoke("evaluate", "retrieval", "catalog:16"), 2, "catalog:16", "give the --with that embeds it")
    one_line(invoke("evaluate", "retrieval", photos, "--against", TOWER), 2, "--against", "holds no photos", TOWER)
    one_line(invoke("evaluate", "compatibility", photos, TOWER), 2, TOWER, "there are no photos")
    one_line(
        invoke("evaluate", photos, "--task", "ads", "--relevance", "pairs.csv"), 2, "--task and --relevance exclude"
    )
    two = ("evaluate", "compatibility", photos, photos, "--data", "catalog:4")
    one_line(invoke(*two), 2, "--data is catalog:4, which nothing embeds")
    one_line(invoke("evaluate", "drift", photos, "nowhere", "--with", TOWER), 3, "nowhere", "does not exist")
    one_line(invoke("evaluate", "retrieval", "catalog:16", "--with", "tests.toys:nothing"), 2, "nothing")
    given = ("--with", TOWER, "--against", "tests.toys:tower", "--workers", 1, "--quiet")
    other = invoke("evaluate", "retrieval", "catalog:4", photos, *given)
    one_line(other, 3, "catalog:4 by tests.toys:tower has embeddings of 24 values, ", "photos.parquet of")
