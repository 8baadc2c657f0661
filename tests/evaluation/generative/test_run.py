"""From texts to a report: languages, models, what is kept, and what cannot be meant."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import edgekit
from edgekit.data.catalog import Catalog
from edgekit.data.catalog.captions import LANGUAGES
from edgekit.data.catalog.from_text import draw_text
from edgekit.errors import EdgeKitError, InputError, UsageError
from edgekit.evaluation.generative import generators
from edgekit.evaluation.generative.report import GenerativeReport
from edgekit.recipe import Recipe, resolve_model
from tests.evaluation.generative.pipelines import save_pipeline


def tower(seed: int) -> Recipe:
    """A toy model for pictures of 64 pixels."""
    recipe = resolve_model("tests.toys:tower").override(input={"size": (64, 64)}, model={"args": {"seed": seed}})
    return recipe.model_copy(update={"name": f"tower-{seed}"})


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> edgekit.GenerativeRequest:
    out = tmp_path_factory.mktemp("run")
    return edgekit.GenerativeRequest(
        "catalog:24", [tower(0), tower(1), tower(2)], out=out, at=[1, 5], workers=1, resamples=99, picture_size=64
    )


@pytest.fixture(scope="module")
def report(request_: edgekit.GenerativeRequest) -> GenerativeReport:
    return edgekit.evaluate_generative(request_)


def table(path: Path, *rows: tuple[str, str, str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "language", "item"), *rows])
    return path


def refused(request: edgekit.GenerativeRequest, kind: type[EdgeKitError], said: str) -> EdgeKitError:
    with pytest.raises(kind, match=said) as caught:
        edgekit.evaluate_generative(request)
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_catalogue_is_asked_in_eight_languages_by_each_model(report: GenerativeReport) -> None:
    assert [row.language for row in report.languages] == list(LANGUAGES)
    assert {(row.queries, row.understood) for row in report.languages} == {(12, 12)}
    assert (report.queries, report.judged, report.units, report.gallery) == (96, 96, 12, 24)
    assert [row.name for row in report.models] == ["tower-0", "tower-1", "tower-2"]
    assert report.metric == "recall@5"
    for row in report.models:
        assert list(row.figures) == ["recall@1", "recall@5", "mrr@5"]
        assert set(row.languages) == set(LANGUAGES)
        assert row.figures["recall@5"].value == pytest.approx(np.mean([f.value for f in row.languages.values()]))
        assert row.gap is not None
        values = [figure.value for figure in row.languages.values()]
        assert row.gap.value == pytest.approx(max(values) - min(values))
        assert row.real is not None
    assert report.models[0].change is None
    for row in report.models[1:]:
        assert row.change is not None
        assert list(row.change) == ["all", *LANGUAGES]
        change = row.figures["recall@5"].value - report.models[0].figures["recall@5"].value
        assert row.change["all"].value == pytest.approx(change)
    assert report.agreement is not None
    assert report.agreement.models == 3


def test_real_photos_rank_as_the_retrieval_task_does(
    request_: edgekit.GenerativeRequest, report: GenerativeReport, tmp_path: Path
) -> None:
    edgekit.embed(edgekit.EmbedRequest("catalog:24", tower(0), tmp_path / "g.parquet", workers=1))
    asked = edgekit.RetrievalRequest(tmp_path / "g.parquet", at=[1, 5], resamples=99)
    figure = edgekit.evaluate_retrieval(asked).arrangements[0].figures["recall@5"]
    assert report.models[0].real is not None
    assert report.models[0].real.value == pytest.approx(figure.value)


def test_a_file_of_embeddings_gives_what_its_photos_give(
    request_: edgekit.GenerativeRequest, report: GenerativeReport, tmp_path: Path
) -> None:
    edgekit.embed(edgekit.EmbedRequest("catalog:24", tower(0), tmp_path / "g.parquet", workers=1))
    listings = map(Catalog(12, 1).listing, range(12))
    rows = [(text, language, one.id) for one in listings for language, text in one.captions.items()]
    queries = table(tmp_path / "q.csv", *rows)
    request = replace(request_, data=tmp_path / "g.parquet", models=tower(0), queries=queries)
    found = edgekit.evaluate_generative(request)
    assert found.models[0].figures == report.models[0].figures
    assert found.agreement is None
    assert any("three models" in note for note in found.notes)
    error = refused(replace(request, models=tower(1)), InputError, "was not embedded by tower-1")
    assert error.field == "other_models"
    assert edgekit.evaluate_generative(replace(request, models=tower(1), other_models=True)).judged == 96


def test_the_same_request_again_draws_and_embeds_nothing(
    request_: edgekit.GenerativeRequest, report: GenerativeReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_mtime_ns for path in request_.out.rglob("*") if path.is_file()}
    assert sum(path.suffix == ".png" for path in before) == 96
    monkeypatch.setattr(generators, "draw_text", lambda *_: pytest.fail("drawn again"))
    assert edgekit.evaluate_generative(request_).to_json() == report.to_json()
    assert {path: path.stat().st_mtime_ns for path in request_.out.rglob("*") if path.is_file()} == before


def test_kept_embeddings_that_are_damaged_are_made_again(
    request_: edgekit.GenerativeRequest, report: GenerativeReport, tmp_path: Path
) -> None:
    shutil.copytree(request_.out, tmp_path / "out")
    damaged = sorted((tmp_path / "out" / "embeddings").iterdir())[:2]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:500])
    request = replace(request_, out=tmp_path / "out")
    assert edgekit.evaluate_generative(request).to_json() == report.to_json()


def test_a_run_that_is_stopped_goes_on_where_it_was(
    request_: edgekit.GenerativeRequest, report: GenerativeReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, draw, drawn = replace(request_, out=tmp_path), draw_text, list[str]()
    limit = 40

    def until(text: str, language: str, seed: int, size: int) -> object:
        if len(drawn) == limit:
            raise KeyboardInterrupt
        drawn.append(f"{language} {text}")
        return draw(text, language, seed, size)

    monkeypatch.setattr(generators, "draw_text", until)
    with pytest.raises(KeyboardInterrupt):
        edgekit.evaluate_generative(request)
    assert len(list((tmp_path / "pictures").rglob("*.png"))) == 40
    limit = 1000
    assert edgekit.evaluate_generative(request).to_json() == report.to_json()
    assert len(drawn) == len(set(drawn)) == 96


def test_models_that_are_all_alike_have_no_ranking(request_: edgekit.GenerativeRequest, tmp_path: Path) -> None:
    queries = table(tmp_path / "q.csv", ("red mug", "en", "listing-000001"))
    report = edgekit.evaluate_generative(replace(request_, models=[tower(0)] * 3, queries=queries))
    assert report.agreement is None
    assert "all models have one recall@5, so there is no ranking; take a larger gallery" in report.notes
    assert report.models[1].change is not None
    assert report.models[1].change["all"].value == 0


def test_an_artifact_is_judged_in_its_runtime(tower_file: Path, tmp_path: Path) -> None:
    queries = table(tmp_path / "q.csv", ("red mug", "en", "listing-000001"), ("rote Tasse", "de", "listing-000001"))
    recipe = resolve_model("tests.toys:tower").override(input={"size": (64, 64)})
    request = edgekit.GenerativeRequest(
        "catalog:8", [recipe, tower_file.parent], queries, out=tmp_path / "out", at=[3], workers=1, resamples=99
    )
    report = edgekit.evaluate_generative(request)
    assert [row.kind for row in report.models] == ["pytorch", "onnx"]
    assert [row.name for row in report.models] == ["tests.toys-tower (pytorch)", "tests.toys-tower (onnx)"]


def test_texts_that_are_not_understood_are_counted_and_shown(
    request_: edgekit.GenerativeRequest, tmp_path: Path
) -> None:
    rows = [("red mug", "en"), ("gift for mum", "en"), ("etwas Schönes", "de"), ("rote Tasse", "de"), ("赤い", "ja")]
    queries = table(tmp_path / "q.csv", *((text, language, "listing-000001") for text, language in rows))
    report = edgekit.evaluate_generative(replace(request_, models=tower(0), queries=queries))
    assert (report.queries, report.judged) == (5, 2)
    assert [(row.language, row.queries, row.understood) for row in report.languages] == [
        ("en", 2, 1),
        ("de", 2, 1),
        ("ja", 1, 0),
    ]
    assert [row.text for row in report.unread] == ["gift for mum", "etwas Schönes", "赤い"]
    assert "3 of 5 texts are not understood" in report.notes[0]
    assert set(report.models[0].languages) == {"en", "de"}


def test_doubled_rows_and_a_gallery_smaller_than_k_are_noted(
    request_: edgekit.GenerativeRequest, tmp_path: Path
) -> None:
    queries = table(tmp_path / "q.csv", *[("red mug", "en", "listing-000001")] * 3)
    report = edgekit.evaluate_generative(replace(request_, models=tower(0), queries=queries, at=[1, 100]))
    assert report.notes[0] == "2 rows of q.csv are there twice and count once"
    assert "the gallery has 24 rows, fewer than k = 100: every row is listed" in report.notes
    assert report.models[0].figures["recall@100"].value == 1


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "has no rows"),
        ([("red mug", "en", "listing-999999")], "1 of 1 chosen items are neither an id nor a label"),
        (
            [("red mug", "en", "listing-000001"), ("punainen muki", "fi", "listing-000001")],
            "1 of 2 texts are in languages.*'fi'; it reads en, de",
        ),
        ([("something", "en", "listing-000001")], "none of 1 texts is understood"),
    ],
)
def test_a_table_that_cannot_be_judged_is_one_line(
    request_: edgekit.GenerativeRequest, tmp_path: Path, rows: list[tuple[str, str, str]], said: str
) -> None:
    refused(replace(request_, models=tower(0), queries=table(tmp_path / "q.csv", *rows)), InputError, said)


def test_what_cannot_be_meant_is_refused_by_its_field(request_: edgekit.GenerativeRequest, tmp_path: Path) -> None:
    wrong: dict[str, Any] = {
        "models": [],
        "at": [0],
        "metric": "ndcg@5",
        "examples": -1,
        "steps": 0,
        "guidance": float("nan"),
        "resamples": 10,
        "picture_size": 0,
        "workers": 0,
        "seed": -1,
    }
    for field, value in wrong.items():
        with pytest.raises(UsageError) as caught:
            replace(request_, **{field: value})
        assert caught.value.field == field
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    error = refused(replace(request_, data=str(tmp_path)), UsageError, "only the synthetic catalogue has texts")
    assert error.field == "queries"
    error = refused(replace(request_, generator="nothing-there"), UsageError, "give catalog, the folder")
    assert error.field == "generator"
    refused(replace(request_, picture_size=8), UsageError, "draws 16 to 2048 pixels")


def test_pictures_are_never_kept_among_the_photos_that_are_searched(
    request_: edgekit.GenerativeRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run would find the pictures of the first."""
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    for data, out in ((".", "generated"), (tmp_path, tmp_path), ("../" + tmp_path.name, "a/b")):
        with pytest.raises(UsageError, match="lies in the gallery's folder") as caught:
            replace(request_, data=data, out=out)
        assert caught.value.field == "out"
    assert replace(request_, data=tmp_path, out=tmp_path.parent / "generated").out == tmp_path.parent / "generated"


def test_a_check_list_that_could_not_be_written_is_refused_before_anything_is_drawn(
    request_: edgekit.GenerativeRequest, tmp_path: Path
) -> None:
    for name, said in (("none/check.csv", "its folder is not there"), ("page.html", r"is a \.csv file")):
        with pytest.raises(UsageError, match=said) as caught:
            replace(request_, review=tmp_path / name)
        assert caught.value.field == "review"


def test_a_language_that_is_not_read_is_told_before_the_gallery_is_embedded(
    request_: edgekit.GenerativeRequest, tmp_path: Path
) -> None:
    queries = table(tmp_path / "q.csv", ("punainen muki", "fi", "listing-000001"))
    refused(replace(request_, queries=queries, out=tmp_path / "out"), InputError, "'fi'")
    assert not (tmp_path / "out").exists()


def test_own_photos_are_searched_with_pictures_of_a_diffusion_pipeline(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    catalog = Catalog(4, 2, size=64)
    for photo in catalog:
        path = photos / photo.name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo.image).save(path)
    rows = [("punainen muki", "fi", "listing-000001"), ("red mug", "en", "listing-000002/photo-0-seller.png")]
    request = edgekit.GenerativeRequest(
        str(photos),
        tower(0),
        table(tmp_path / "q.csv", *rows),
        generator=str(save_pipeline(tmp_path / "pipeline")),
        out=tmp_path / "out",
        at=[2],
        steps=2,
        workers=1,
        resamples=99,
    )
    report = edgekit.evaluate_generative(request)
    assert (report.judged, report.gallery) == (2, 8)
    assert [row.language for row in report.languages] == ["fi", "en"]
    pictures = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "pictures").rglob("*.png")}
    assert len(pictures) == 2
    assert edgekit.evaluate_generative(request).to_json() == report.to_json()
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "pictures").rglob("*.png")} == pictures
    edgekit.evaluate_generative(replace(request, steps=3))
    assert len(list((tmp_path / "out" / "pictures").rglob("*.png"))) == 4


def test_a_check_list_is_written_read_back_and_never_loses_a_verdict(
    request_: edgekit.GenerativeRequest, report: GenerativeReport, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    request = replace(request_, models=tower(0), review=path)
    first = edgekit.evaluate_generative(request).review
    assert first is not None
    assert (first.rows, first.judged, first.kappa) == (96, 0, None)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file))
    assert {row[1] for row in lines[1:]} == set(LANGUAGES)
    assert all((path.parent / row[3]).is_file() for row in lines[1:])
    for row in lines[1:41]:
        row[-1] = row[-2]
    lines[1][-1] = "wrong" if lines[1][-2] == "right" else "right"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(lines)
    second = edgekit.evaluate_generative(request).review
    assert second is not None
    assert (second.judged, second.stale, second.agreed) == (40, 0, 39 / 40)
    assert second.kappa is not None
    assert 0.5 < second.kappa < 1
    filled = path.read_bytes()
    third = edgekit.evaluate_generative(replace(request, models=tower(1)))
    assert third.review is not None
    assert third.review.stale > 0
    assert any("do not count; the list stays as it is" in note for note in third.notes)
    assert path.read_bytes() == filled
    path.write_text("id,name\n")
    refused(request, InputError, "is no check list")
    assert path.read_text() == "id,name\n"


def test_examples_are_of_every_language_wrong_ones_first(report: GenerativeReport) -> None:
    assert {row.language for row in report.examples} == set(LANGUAGES)
    for language in LANGUAGES:
        own = [row.right for row in report.examples if row.language == language]
        assert len(own) == 4
        if not all(own):
            assert own[0] is False
    for row in report.examples:
        assert row.right is any(item.relevance > 0 for item in row.found)
        assert len(row.found) == 5
        photos = {f"{row.chosen[0]}/photo-0-seller.png", f"{row.chosen[0]}/photo-1-review.png"}
        assert {item.id for item in row.found if item.relevance} <= photos
