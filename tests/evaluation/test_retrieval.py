"""Retrieval from files: figures beside scikit-learn's and EdgeKit's own recall, arrangements, segments, bad input."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from pyarrow import FixedSizeListArray, array, parquet, table
from sklearn.metrics import ndcg_score

from edgekit.errors import InputError, MissingDependencyError, OutputError, UsageError
from edgekit.evaluation.drift import DriftRequest, evaluate_drift
from edgekit.evaluation.retrieval import RetrievalRequest, evaluate_retrieval
from edgekit.evaluation.retrieval_report import RetrievalReport
from edgekit.metrics import retrieval
from edgekit.metrics.retrieval import unit_rows
from tests.evaluation.made import listings, write

VALUES, COLUMNS = listings(40, photos=3)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write(tmp_path / "photos.parquet", VALUES, COLUMNS)


def evaluated(queries: Path, **fields: Any) -> RetrievalReport:
    return evaluate_retrieval(RetrievalRequest(queries, **{"resamples": 199, **fields}))


def test_recall_is_what_parity_calls_recall_where_each_query_has_one_item(tmp_path: Path) -> None:
    values, columns = listings(60, noise=1.2)
    report = evaluated(write(tmp_path / "pairs.parquet", values, columns), at=(1, 5))
    wanted = retrieval.recall(values, values, columns["label"], columns["label"], exclude_self=True, at=(1, 5))
    (found,) = report.arrangements
    assert found.name == report.base == "plain"
    assert found.figures["recall@1"].value == pytest.approx(wanted.at[1])
    assert found.figures["recall@5"].value == pytest.approx(wanted.at[5])
    assert 0 < found.figures["recall@1"].low < wanted.at[1] < found.figures["recall@1"].high < 1
    assert (report.queries, report.left_out, report.gallery) == (wanted.queries, 0, 120)


def test_graded_figures_are_those_of_scikit_learn(photos: Path) -> None:
    columns = {**COLUMNS, "fine_category": [f"{c}-{n % 2}" for n, c in enumerate(COLUMNS["category"])]}
    write(photos, VALUES, columns)
    report = evaluated(photos, task="visual-search", at=(3, 10))
    scores = unit_rows(VALUES) @ unit_rows(VALUES).T
    grades = np.zeros(scores.shape)
    for name in ("category", "fine_category", "label"):
        text = np.array(columns[name])
        grades += text[:, None] == text[None, :]
    grades[np.array(columns["category"])[:, None] != np.array(columns["category"])[None, :]] = 0
    others = ~np.eye(len(VALUES), dtype=bool)
    for k in (3, 10):
        wanted = np.mean(
            [ndcg_score(g[None, keep], s[None, keep], k=k) for g, s, keep in zip(grades, scores, others, strict=True)]
        )
        assert report.arrangements[0].figures[f"ndcg@{k}"].value == pytest.approx(wanted, abs=1e-6)


def test_embeddings_that_are_all_alike_find_nothing(tmp_path: Path) -> None:
    report = evaluated(write(tmp_path / "same.parquet", np.ones_like(VALUES), COLUMNS))
    assert all(figure.value == 0 for figure in report.arrangements[0].figures.values())


def test_the_order_of_the_rows_does_not_matter(photos: Path, tmp_path: Path) -> None:
    moved = np.random.default_rng(5).permutation(len(VALUES))
    columns = {name: [texts[row] for row in moved] for name, texts in COLUMNS.items()}
    other = write(tmp_path / "moved.parquet", VALUES[moved], columns, [f"photo-{row}" for row in moved])
    one, two = (evaluated(path).arrangements[0].figures for path in (photos, other))
    assert {name: figure.value for name, figure in one.items()} == pytest.approx(
        {name: figure.value for name, figure in two.items()}
    )


def test_a_buyers_photo_finds_the_sellers(photos: Path) -> None:
    report = evaluated(photos, task="buyer-to-seller")
    styles = np.array(COLUMNS["style"])
    assert (report.queries, report.gallery) == ((styles == "review").sum(), (styles == "seller").sum())
    assert report.task == "buyer-to-seller"


def test_arrangements_against_an_original(photos: Path, tmp_path: Path) -> None:
    artifact = VALUES + 0.8 * np.random.default_rng(9).standard_normal(VALUES.shape)
    small = write(tmp_path / "small.parquet", artifact, COLUMNS, model="small")
    report = evaluated(small, against=photos, mixed=True, forms=("plain", "int8", "truncate=4", "pq=8"))
    by_name = {row.name: row for row in report.arrangements}
    assert list(by_name) == ["original", "mixed", "plain", "int8", "truncate=4", "pq=8"]
    assert report.base == "original"
    assert by_name["original"].change is None
    assert by_name["mixed"].queries == "small (pytorch)"
    assert by_name["mixed"].gallery == "toy (pytorch)"
    assert [by_name[name].gallery_bytes for name in ("plain", "int8", "truncate=4")] == [7680, 1920, 1920]
    own = {name: row.figures["recall@10"].value for name, row in by_name.items()}
    assert own["original"] > own["plain"] > own["truncate=4"]
    assert abs(own["int8"] - own["plain"]) < 0.05
    change = by_name["plain"].change
    assert change is not None
    assert change["recall@10"].value == pytest.approx(own["plain"] - own["original"])
    assert change["recall@10"].high < 0
    assert change["recall@10"].p < 0.05


def test_a_model_beside_itself_is_no_different(photos: Path) -> None:
    _, plain = evaluated(photos, against=photos, by=["category"]).arrangements
    assert plain.change is not None
    assert all((row.value, row.low, row.high, row.p) == (0, 0, 0, 1) for row in plain.change.values())


def test_a_segment_that_a_small_model_serves_worse_is_named_and_by_how_much(photos: Path, tmp_path: Path) -> None:
    hats = np.array(COLUMNS["category"]) == "hats"
    noise = np.where(hats[:, None], 1.5, 0.1) * np.random.default_rng(9).standard_normal(VALUES.shape)
    small = write(tmp_path / "small.parquet", VALUES + noise, COLUMNS, model="small")
    report = evaluated(small, against=photos, by=["category"], metric="ndcg@10", resamples=999)
    of_small = {row.segment: row for row in report.segments if row.arrangement == "plain"}
    of_original = {row.segment: row for row in report.segments if row.arrangement == "original"}
    assert {name for name, row in of_small.items() if row.worse} == {"hats"}
    assert not any(row.worse or row.widened is not None for row in of_original.values())
    row = of_small["hats"]
    assert row.widened == pytest.approx(row.gap - of_original["hats"].gap)
    assert row.widened_low is not None
    assert row.widened_low > 0.1
    assert row.widened_p is not None
    assert row.widened_p < 0.05
    assert row.queries == hats.sum()


def test_an_int8_file_stays_in_codes(photos: Path, tmp_path: Path) -> None:
    codes = write(tmp_path / "codes.parquet", VALUES, COLUMNS, dtype="int8")
    stored, made = evaluated(codes).arrangements[0], evaluated(photos, forms=["int8"]).arrangements[0]
    assert stored.gallery_bytes == made.gallery_bytes == VALUES.size
    assert stored.figures["map@10"].value == pytest.approx(made.figures["map@10"].value, abs=0.02)


def test_own_pairs(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "own.csv"
    table.write_text(
        "query,gallery,relevance\nphoto-0,photo-1,3\nphoto-0,photo-2,1\nphoto-9,photo-10,1\nphoto-4,photo-5,0\n"
    )
    report = evaluated(photos, relevance=table, at=(2,))
    assert (report.task, report.queries, report.left_out, report.gallery) == ("own table", 2, 1, len(VALUES))
    assert report.arrangements[0].figures["recall@2"].value > 0.5


def test_the_worst_queries_with_what_they_found(tmp_path: Path) -> None:
    values = np.eye(4)[[0, 0, 1, 2, 2, 3]] + 0.01 * np.arange(6)[:, None]
    columns = {"label": ["a", "a", "b", "c", "b", "c"], "light": ["day"] * 6}
    report = evaluated(write(tmp_path / "six.parquet", values, columns), at=(1,), worst=2)
    assert [row.id for row in report.worst] == ["photo-2", "photo-3"]
    first = report.worst[0]
    assert (first.figure, first.relevant, first.columns["light"]) == (0, 1, "day")
    assert first.found[0].relevance == 0
    assert first.found[0].id != "photo-2"
    assert RetrievalReport.model_validate_json(report.to_json()) == report


def test_queries_without_a_relevant_item_are_counted_and_a_small_gallery_is_told(tmp_path: Path) -> None:
    columns = {"label": ["a", "a", "alone", ""]}
    report = evaluated(write(tmp_path / "few.parquet", VALUES[:4], columns), at=(1, 50))
    assert (report.queries, report.left_out) == (2, 2)
    assert "3 rows besides the query, fewer than k = 50" in report.notes[0]
    assert "2 of 4 queries have no relevant item" in report.notes[1]
    assert report.arrangements[0].figures["recall@50"].value == 1


def test_the_same_input_gives_the_same_bytes(photos: Path) -> None:
    fields = {"forms": ("plain", "pq=4"), "by": ["category"], "worst": 3}
    assert evaluated(photos, **fields).to_json() == evaluated(photos, **fields).to_json()


def test_files_that_do_not_fit_are_refused(photos: Path, tmp_path: Path) -> None:
    narrow = write(tmp_path / "narrow.parquet", VALUES[:, :8], COLUMNS)
    other = write(tmp_path / "other.parquet", VALUES, COLUMNS, model="other")
    part = write(tmp_path / "part.parquet", VALUES[:9], {name: texts[:9] for name, texts in COLUMNS.items()})
    with pytest.raises(InputError, match=r"of 16 values, .* of 8"):
        evaluated(photos, gallery=narrow)
    with pytest.raises(InputError, match="is of the model toy"):
        evaluated(photos, gallery=other)
    assert evaluated(photos, gallery=other, other_models=True).queries == len(VALUES)
    with pytest.raises(InputError, match=r"part.parquet: 111 of 120 ids of photos.parquet .* first 'photo-9'"):
        evaluated(photos, against=part)
    with pytest.raises(InputError, match=r"of 16 values, .* of 8"):
        evaluated(photos, against=narrow, mixed=True)
    with pytest.raises(InputError, match="no column light"):
        evaluated(photos, by=["light"])
    itself = tmp_path / "itself.csv"
    itself.write_text("query,gallery\nphoto-0,photo-0\n")
    with pytest.raises(InputError, match=r"none of 1 queries .* check that itself.csv lists items beside the query"):
        evaluated(photos, relevance=itself)
    with pytest.raises(InputError, match="none of 120 queries has a relevant item"):
        evaluated(photos, gallery=write(tmp_path / "g.parquet", VALUES[:2], {"label": ["x", "y"]}, ["8", "9"]))


@pytest.mark.parametrize(
    ("ids", "value", "words"),
    [
        (["photo-0", "photo-1"], np.nan, "photo-1"),
        (["photo-0", "photo-1"], np.inf, "photo-1"),
        (["photo-0", "photo-1"], 0.0, "photo-1"),
        (["photo-0", "photo-0"], 1.0, "photo-0"),
        (["photo-0", None], 1.0, "row 2"),
        (["photo-0", ""], 1.0, "row 2"),
    ],
)
def test_a_row_that_is_no_embedding_or_has_no_id_of_its_own_is_named(
    tmp_path: Path, ids: list[str | None], value: float, words: str
) -> None:
    values = np.concatenate([VALUES[:1], np.full((1, 16), value)]).astype(np.float32)
    vectors = FixedSizeListArray.from_arrays(array(values.reshape(-1)), 16)
    parquet.write_table(table({"id": ids, "embedding": vectors, "label": ["a", "a"]}), tmp_path / "bad.parquet")
    with pytest.raises(InputError, match=words):
        evaluated(tmp_path / "bad.parquet")


def test_a_package_that_is_missing_is_named(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingDependencyError, match=r"needs faiss-cpu: run `pip install 'edgekit\[evaluate\]'`"):
        evaluated(photos)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task", "nosuch"),
        ("at", ()),
        ("at", (0,)),
        ("at", (2.5,)),
        ("forms", ()),
        ("metric", "recall@7"),
        ("correction", "none"),
        ("worst", -1),
        ("resamples", 0),
        ("seed", -1),
        ("mixed", True),
        ("against_gallery", "gallery.parquet"),
    ],
)
def test_a_field_that_cannot_be_meant_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        replace(RetrievalRequest("photos.parquet"), **{field: value})
    assert caught.value.field == field


def test_a_model_in_place_of_a_file_is_told_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="edgekit embed") as caught:
        evaluated(tmp_path / "catalog-s0")
    assert caught.value.field == "queries"


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (KeyboardInterrupt("interrupted; the same command goes on from there"), ""),
        (
            OutputError("cannot write a.part: full; the same command goes on from here"),
            "cannot write a.part: full; m",
        ),
    ],
)
def test_an_embedding_that_ends_early_promises_nothing(
    photos: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException, told: str
) -> None:
    """What was done lies in a temporary folder, which is gone afterwards."""

    def ends(*_: object) -> NoReturn:
        raise raised

    monkeypatch.setattr("edgekit.evaluation.inputs.embed", ends)
    with pytest.raises(type(raised)) as caught:
        evaluated(Path("catalog"), model="tests.toys:tower")
    assert str(caught.value).startswith(told)
    assert "goes on" not in str(caught.value)


def test_a_model_that_has_nothing_to_embed_is_refused(photos: Path) -> None:
    with pytest.raises(UsageError, match="`model` has nothing to embed"):
        evaluated(photos, model="tests.toys:tower")
    with pytest.raises(UsageError, match="`model` has nothing to embed"):
        evaluate_drift(DriftRequest(photos, photos, model="tests.toys:tower"))
