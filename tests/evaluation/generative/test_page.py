"""The page says what its report says, and its verdict comes first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import edgekit
from edgekit.errors import InputError, UsageError
from edgekit.evaluation.generative.page import page_of_generative, write_generative_page
from edgekit.evaluation.generative.report import (
    Agreement,
    Example,
    GenerativeReport,
    Language,
    LanguageGap,
    Ranked,
    Reviewed,
    Unread,
)
from edgekit.evaluation.generative.verdict import said_of
from edgekit.evaluation.retrieval_report import Change, Figure, FoundItem
from edgekit.recipe import resolve_model
from edgekit.report.document import Interval, Mark, PictureRows, Table


def figure(value: float) -> Figure:
    return Figure(value=value, low=value - 0.1, high=value + 0.1)


def ranked(name: str, value: float, p: float, *, first: bool = False) -> Ranked:
    change = {
        "all": Change(value=-0.2, low=-0.3, high=-0.1, p=0.01),
        "ja": Change(value=-0.1, low=-0.3, high=0.1, p=0.4),
    }
    return Ranked(
        name=name,
        sha256="0" * 64,
        kind="pytorch",
        runtime="torch",
        figures={"recall@5": figure(value), "mrr@5": figure(value / 2)},
        languages={"en": figure(value + 0.1), "ja": figure(value - 0.1)},
        gap=LanguageGap(value=0.2, low=0.1, high=0.3, best="en", worst="ja", p=p),
        change=None if first else change,
        real=figure(0.9),
    )


REPORT = GenerativeReport(
    metric="recall@5",
    generator="a painter",
    source="q.csv",
    gallery_name="photos",
    gallery=30,
    queries=20,
    judged=20,
    units=10,
    resamples=99,
    languages=[Language(language="en", queries=10, understood=10), Language(language="ja", queries=10, understood=10)],
    unread=[],
    models=[ranked("small", 0.5, 0.4, first=True), ranked("large", 0.6, 0.4)],
    agreement=None,
    review=None,
    examples=[
        Example(
            id="ja-000002",
            language="ja",
            text="赤い<b>椅子",
            picture="a.png",
            chosen=["chair"],
            right=True,
            found=[FoundItem(id="lamp", score=0.9, relevance=0), FoundItem(id="chair", score=0.8, relevance=1)],
        )
    ],
    notes=["a note"],
)
DRAWN, PHOTOS = {"a.png": "data:image/jpeg;base64,AA"}, {"lamp": None, "chair": "data:image/jpeg;base64,BB"}


def changed(**fields: object) -> GenerativeReport:
    return REPORT.model_copy(update=fields)


def test_the_verdict_names_the_best_model_and_that_no_gap_is_shown() -> None:
    said, state = said_of(REPORT)
    assert said == [
        "large finds what people chose most often: recall@5 is 0.600 (0.500 to 0.700).",
        "No gap between languages is shown.",
    ]
    assert state == "plain"
    assert said_of(changed(models=REPORT.models[:1]))[0][0] == "recall@5 is 0.500 (0.400 to 0.600)."


def test_a_gap_and_texts_that_are_not_understood_are_bad_news() -> None:
    said, state = said_of(changed(models=[ranked("small", 0.5, 0.001, first=True)], judged=17))
    assert said[1:] == [
        "small serves ja worse than en, by 0.200 (+0.100 to +0.300).",
        "3 of 20 texts were not understood.",
    ]
    assert state == "mixed"


def test_agreement_and_review_are_told() -> None:
    agreement = Agreement(models=4, rho=0.8, low=-0.2, high=1.0)
    review = Reviewed(rows=50, judged=40, stale=0, agreed=0.9, kappa=0.75)
    said, _ = said_of(changed(agreement=agreement, review=review))
    assert said[-2:] == [
        "Spearman's correlation with the ranking by real photos is 0.80 (-0.20 to 1.00) over 4 models.",
        "Cohen's kappa between people and the automatic verdict is 0.75 over 40 rows.",
    ]
    few = review.model_copy(update={"judged": 5, "kappa": None})
    told = said_of(changed(review=few))[0][-1]
    assert told.endswith("is not defined, as all verdicts are equal over 5 rows, too few to tell.")
    none = review.model_copy(update={"judged": 0, "kappa": None})
    assert "fill in its last column" in said_of(changed(review=none))[0][-1]


def test_every_figure_of_the_report_is_on_the_page() -> None:
    page = page_of_generative(changed(unread=[Unread(id="en-1", language="en", text="nice")]), DRAWN, PHOTOS)
    tables = {part.title: part for part in page.sections if isinstance(part, Table)}
    assert list(tables) == [
        "Models",
        "Gaps between languages",
        "recall@5 by language",
        "Against small",
        "Texts that were not understood",
    ]
    for row, model in zip(tables["Models"].rows, REPORT.models, strict=True):
        assert row.cells[0] == model.name
        for wanted in (*model.figures.values(), model.real):
            assert wanted is not None
            assert Interval(wanted.value, wanted.low, wanted.high) in row.cells
    for row, model in zip(tables["Gaps between languages"].rows, REPORT.models, strict=True):
        assert row.cells == (model.name, Interval(0.2, 0.1, 0.3), "en", "ja", 0.4)
    for row, language in zip(tables["recall@5 by language"].rows, ("en", "ja"), strict=True):
        assert row.cells[0] == language
        figures = [model.languages[language] for model in REPORT.models]
        assert list(row.cells[3:]) == [Interval(one.value, one.low, one.high) for one in figures]
    marks = [row.cells[-1] for row in tables["Against small"].rows]
    assert marks == [Mark("worse", "bad"), Mark("not shown")]
    assert tables["Texts that were not understood"].rows[0].cells == ("en-1", "en", "nice")
    assert list(page.notes) == ["a note"]


def test_pictures_stand_beside_what_was_found() -> None:
    (part,) = (part for part in page_of_generative(REPORT, DRAWN, PHOTOS).sections if isinstance(part, PictureRows))
    assert part.title == "Language ja"
    (row,) = part.rows
    assert (row.query.image, row.query.caption) == (DRAWN["a.png"], "赤い<b>椅子")
    assert [(one.image, one.right) for one in row.found] == [(None, False), (PHOTOS["chair"], True)]


def test_a_page_is_written_with_the_pictures_of_its_request(tmp_path: Path) -> None:
    recipe = resolve_model("tests.toys:tower").override(input={"size": (64, 64)})
    request = edgekit.GenerativeRequest(
        "catalog:8", recipe, out=tmp_path / "out", at=[2], workers=1, resamples=99, examples=1, picture_size=64
    )
    report = edgekit.evaluate_generative(request)
    edgekit.write_generative_page(report, tmp_path / "a.html", request, command="edgekit evaluate generative catalog:8")
    text = (tmp_path / "a.html").read_text()
    assert text.count("<img") == 8 * 3
    assert "edgekit evaluate generative catalog:8" in text
    assert str(tmp_path) not in text
    edgekit.write_generative_page(report, tmp_path / "b.html", request, command="edgekit evaluate generative catalog:8")
    assert (tmp_path / "b.html").read_text() == text
    embedded = tmp_path / "g.parquet"
    edgekit.embed(edgekit.EmbedRequest("catalog:8", recipe, embedded, workers=1))
    edgekit.write_generative_page(report, tmp_path / "c.html", replace(request, data=str(embedded)))
    assert (tmp_path / "c.html").read_text().count("<img") == 8  # the drawn ones alone
    with pytest.raises(InputError, match="holds no image of"):
        write_generative_page(report, tmp_path / "d.html", request, pictures=tmp_path / "out" / "pictures")
    with pytest.raises(UsageError, match="ends in"):
        write_generative_page(report, tmp_path / "d.txt", request)
