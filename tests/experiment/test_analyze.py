"""Experiments from file to verdict: what is found, what is not, and what cannot be judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import parquet
from scipy import stats

from edgekit.errors import ExperimentError, InputError, UsageError
from edgekit.experiment.analyze import analyze_experiment, assignment_of
from edgekit.experiment.request import ExperimentRequest
from edgekit.experiment.result import ExperimentResult
from tests.experiment.tables import only, shop, write


def analyze(path: Path, columns: dict[str, Any], **asked: Any) -> ExperimentResult:
    return analyze_experiment(ExperimentRequest(table=write(path / "results.parquet", columns), **asked))


def totals(path: Path, text: str, **asked: Any) -> ExperimentResult:
    (path / "totals.csv").write_text(text)
    return analyze_experiment(ExperimentRequest(table=path / "totals.csv", **asked))


def test_each_column_of_numbers_is_a_metric_tested_as_its_kind_is(tmp_path: Path) -> None:
    columns = shop()
    result = analyze(tmp_path, columns)
    tests = {row.metric: (row.kind, row.test) for row in result.comparisons}
    assert tests == {
        "orders": ("rate", "two proportions"),
        "revenue": ("mean", "Welch, CUPED"),
        "clicks": ("mean", "Welch"),
        "views": ("mean", "Welch"),
    }
    new = columns["arm"] == "new"
    views = next(row for row in result.comparisons if row.metric == "views")
    expected = stats.ttest_ind(columns["views"][new], columns["views"][~new], equal_var=False)
    assert views.p == pytest.approx(expected.pvalue)
    assert (views.low, views.high) == pytest.approx([*expected.confidence_interval()])
    assert (result.control, result.rows, result.assignment.broken) == ("control", 4000, False)
    assert [arm.units for arm in result.assignment.arms] == [(~new).sum(), new.sum()]


def test_csv_and_parquet_give_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", shop(500))
    arrow_csv.write_csv(parquet.read_table(path), tmp_path / "a.csv")
    asked: dict[str, Any] = {"metrics": ["orders", "ctr:column=clicks,per=views"]}
    both = [analyze_experiment(ExperimentRequest(table=tmp_path / name, **asked)) for name in ("a.csv", "a.parquet")]
    assert both[0] == both[1]


def test_cuped_finds_what_the_plain_test_does_not(tmp_path: Path) -> None:
    """The interval shrinks by sqrt(1 - correlation**2), as Deng et al. (2013) have it."""
    columns = shop(seed=1, lift=0.8)
    plain = only(analyze(tmp_path, columns, metrics="revenue:want=up"))
    less = only(analyze(tmp_path, columns, metrics="revenue:want=up,covariate=revenue_before"))
    assert (plain.verdict, less.verdict) == ("not shown", "better")
    assert less.correlation is not None
    shrunk = (less.high - less.low) / (plain.high - plain.low)
    assert shrunk == pytest.approx(np.sqrt(1 - less.correlation**2), rel=0.02)
    assert less.low < 0.8 < less.high


@pytest.mark.parametrize(("want", "verdict"), [("up", "better"), ("down", "worse"), (None, "different")])
def test_the_verdict_follows_the_direction_that_is_wanted(tmp_path: Path, want: str | None, verdict: str) -> None:
    metric = "revenue:covariate=revenue_before" + (f",want={want}" if want else "")
    row = only(analyze(tmp_path, shop(lift=2.0), metrics=metric))
    assert row.verdict == verdict
    assert row.sentence.startswith("revenue: new ")


def test_a_ratio_is_that_of_the_totals(tmp_path: Path) -> None:
    columns = shop()
    row = only(analyze(tmp_path, columns, metrics="ctr:column=clicks,per=views"))
    new = columns["arm"] == "new"
    assert (row.kind, row.value) == ("ratio", pytest.approx(columns["clicks"][new].sum() / columns["views"][new].sum()))


def test_rows_of_a_user_are_clustered_and_not_counted_as_independent(tmp_path: Path) -> None:
    """The effect is that of the rows, the error that of a cluster-robust regression."""
    from statsmodels.regression.linear_model import OLS

    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(400), rng.integers(1, 10, 400))
    new = user % 2 == 1
    spent = rng.normal(size=400)[user] + 0.2 * rng.normal(size=len(user)) + 10
    columns = {"user": user, "arm": np.where(new, "new", "control"), "spent": spent}
    row = only(analyze(tmp_path, columns, cluster="user"))
    robust = OLS(spent, np.stack([np.ones(len(user)), new], axis=1)).fit(cov_type="cluster", cov_kwds={"groups": user})
    assert row.effect == pytest.approx(robust.params[1])
    assert row.high - row.low == pytest.approx(2 * 1.966 * robust.bse[1], rel=0.01)
    naive = stats.ttest_ind(spent[new], spent[~new]).confidence_interval()
    assert row.high - row.low > 1.5 * (naive.high - naive.low)


def test_more_arms_are_corrected_for(tmp_path: Path) -> None:
    """Benjamini and Hochberg (1995), 15 p-values of a study: Holm refuses 3, theirs 4."""
    from statsmodels.stats.multitest import multipletests

    from edgekit.experiment.request import CORRECTIONS

    published = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528]
    published += [0.7590, 1.0]
    refused = {name: int(multipletests(published, 0.05, CORRECTIONS[name])[0].sum()) for name in ("holm", "bh")}
    assert refused == {"holm": 3, "bh": 4}
    columns = shop()
    columns["arm"] = np.asarray(["control", "b", "c", "d"])[np.arange(4000) % 4]
    results = {name: analyze(tmp_path, columns, metrics="views", correction=name) for name in ("holm", "bh", "none")}
    assert [row.arm for row in results["holm"].comparisons] == ["b", "c", "d"]
    p = [row.p for row in results["holm"].comparisons]
    for name, result in results.items():
        expected = p if name == "none" else multipletests(p, method=CORRECTIONS[name])[1]
        assert [row.p_adjusted for row in result.comparisons] == pytest.approx(list(expected))


def test_a_sequential_answer_has_the_days_and_keeps_what_it_found(tmp_path: Path) -> None:
    columns = shop(lift=3.0)
    late = columns["date"] >= np.datetime64("2026-01-08")
    columns["revenue"] = columns["revenue"] - 6.0 * (late & (columns["arm"] == "new"))
    row = only(analyze(tmp_path, columns, metrics="revenue:covariate=revenue_before", sequential=4000))
    assert len(row.looks) == 10
    assert row.p == min(look.p for look in row.looks) == row.looks[-1].p
    assert row.verdict == "different"
    assert not row.low <= 0 <= row.high
    assert row.test == "always valid, CUPED"
    assert "at every look" in row.sentence


def test_the_assignment_of_kohavis_book_is_broken() -> None:
    """Kohavi, Tang and Xu (2020), chapter 21: 821,588 against 815,482 users, p = 1.8e-6."""
    found = assignment_of({"control": 821_588, "treatment": 815_482}, {})
    assert (found.p, found.broken) == (pytest.approx(1.8e-6, rel=0.02), True)


def test_arms_of_the_wrong_size_get_no_verdict(tmp_path: Path) -> None:
    columns = shop()
    columns["arm"] = np.where(np.random.default_rng(1).random(4000) < 0.45, "new", "control")
    result = analyze(tmp_path, columns)
    assert result.comparisons == ()
    with pytest.raises(ExperimentError, match=r"sample-ratio mismatch: control \d+ \(planned 2000\)") as caught:
        result.raise_for_assignment()
    assert caught.value.exit_code == 15
    planned = analyze(tmp_path, columns, shares="control=55,new=45")
    planned.raise_for_assignment()
    assert len(planned.comparisons) == 4


def test_totals_of_arms_are_enough(tmp_path: Path) -> None:
    """The documentation of statsmodels: 5 of 83 against 12 of 99, p = 0.159."""
    row = only(totals(tmp_path, "arm,n,successes\ncontrol,83,5\nnew,99,12\n", shares={"control": 83, "new": 99}))
    assert (row.kind, row.p) == ("rate", pytest.approx(0.159, abs=5e-4))
    means = totals(
        tmp_path,
        "metric,arm,n,mean,sd\na,control,11,12,6.244998\na,new,13,15,9.354143\nb,control,11,1,1\nb,new,13,1,2\n",
    )
    expected = stats.ttest_ind_from_stats(15, 87.5**0.5, 13, 12, 39**0.5, 11, equal_var=False)
    assert [row.metric for row in means.comparisons] == ["a", "b"]
    assert means.comparisons[0].p == pytest.approx(expected.pvalue, rel=1e-6)


def test_a_billion_of_units_are_counted(tmp_path: Path) -> None:
    row = only(totals(tmp_path, "arm,n,successes\ncontrol,1000000000,100000000\nnew,1000000000,100030000\n"))
    assert row.p == pytest.approx(2 * stats.norm.sf(30_000 / np.sqrt(2e9 * 0.1 * 0.9)), rel=1e-3)
    assert 0 < row.low < 3e-5 < row.high


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("a,-5,1\nb,9,1\n", "row 1: n is -5; a count is a whole number"),
        ("a,10,-1\nb,9,1\n", "row 1: successes is -1"),
        ("a,10,1\nb,9,1.5\n", "row 2: successes is 1.5"),
        ("a,10,11\nb,9,1\n", "row 1: successes is 11, more than the 10 units"),
        ("a,10,1\na,9,1\n", "arm 'a' is there twice"),
        ("a,1,1\nb,9,1\n", "n is 1; an arm needs 2"),
        ("a,10,1\n", "has one arm, a"),
        ("a,10,0\nb,10,0\n", "no spread in a and b: every unit has the same value"),
        ("a,10,nan\nb,10,0\n", "no value in row 1"),
        ("a,10,x\nb,10,0\n", "not numbers|not a number"),
    ],
)
def test_totals_that_cannot_be_are_refused(tmp_path: Path, rows: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        totals(tmp_path, "arm,n,successes\n" + rows)


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows below its header"):
        totals(tmp_path, "unit,arm,orders\n")


def test_rows_without_a_unit_are_no_unit_of_their_own(tmp_path: Path) -> None:
    for column in ("unit", "cluster"):
        with pytest.raises(InputError, match=f"column '{column}' has no value in row 2"):
            totals(tmp_path, f"{column},arm,orders\na,control,1\n,control,2\nc,new,3\nd,new,5\n")


def test_totals_of_two_kinds_in_one_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has successes as well as mean and sd; write a table for each"):
        totals(tmp_path, "arm,n,successes,mean,sd\ncontrol,100,9,2,1\nnew,100,8,3,1\n")


def test_totals_with_a_negative_deviation_or_a_missing_arm_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sd is -1"):
        totals(tmp_path, "arm,n,mean,sd\na,10,1,-1\nb,10,1,1\n")
    with pytest.raises(InputError, match="metric 'y' lacks the arm b"):
        totals(tmp_path, "metric,arm,n,mean,sd\nx,a,10,1,1\nx,b,10,1,1\ny,a,10,1,1\n")
    plain = "arm,n,successes\na,1000,100\nb,1000,200\n"
    assert only(totals(tmp_path, plain, metrics="rate:want=down")).verdict == "worse"
    with pytest.raises(InputError, match="no metric 'x'; it has rate"):
        totals(tmp_path, plain, metrics="x")
    for field, value in (("metrics", "rate:per=n"), ("cluster", "arm")):
        with pytest.raises(UsageError, match="totals of arms") as caught:
            totals(tmp_path, plain, **{field: value})
        assert caught.value.field == field


@pytest.mark.parametrize(
    ("change", "asked", "words"),
    [
        ({"arm": ["control"] * 8}, {}, "has one arm, control; an experiment needs a control"),
        ({"x": [3.1] * 8}, {}, r"metric 'x' has no spread in control and new: .*\(3.1 and 3.1\)"),
        (
            {"unit": [1, 2, 1, 4, 5, 6, 7, 8], "arm": ["new"] * 2 + ["control"] * 6},
            {},
            "'1' is in two arms, new .*control",
        ),
        ({"unit": [1, 2, 1, 4, 5, 6, 7, 8]}, {}, "'1' has several rows, as 1 and 3"),
        ({}, {"metrics": "y"}, "no column 'y'.* columns are unit, arm, x, n_seen"),
        ({}, {"metrics": "x:kind=rate"}, "is a rate, but its column has 2 in row 1"),
        (
            {"n_seen": [1, 1, -1, 1, 1, 1, 1, 1]},
            {"metrics": "x:per=n_seen"},
            "'n_seen', the denominator of 'x', is -1 in row 3",
        ),
        ({"n_seen": [0] * 8}, {"metrics": "x:per=n_seen"}, "is 0 in all rows of arm 'control'"),
        ({"x": [1.0, None] * 4}, {}, "no value in row 2"),
        ({"x": ["a"] * 8}, {"metrics": "x"}, "holds string, not numbers"),
        ({}, {"metrics": "x:covariate=x"}, "is the same as its covariate"),
        ({}, {"arm": "side"}, "no column 'side'"),
        ({}, {"sequential": 1000}, "arm 'control' has 4 units; `sequential` needs 100"),
    ],
)
def test_tables_that_are_no_experiment_are_refused(
    tmp_path: Path, change: dict[str, Any], asked: dict[str, Any], words: str
) -> None:
    columns: dict[str, Any] = {"unit": range(8), "arm": ["control", "new"] * 4, "x": [2, 7, 1, 8, 2, 8, 1, 8]}
    columns |= {"n_seen": [3, 1, 4, 1, 5, 9, 2, 6], **change}
    with pytest.raises(InputError, match=words):
        analyze(tmp_path, columns, **asked)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"control": "old"}, "control"),
        ({"shares": "control=1"}, "shares"),
        ({"shares": "control=1,new=-1"}, "shares"),
        ({"shares": "control"}, "shares"),
        ({"alpha": 0}, "alpha"),
        ({"correction": "sidak"}, "correction"),
        ({"sequential": 1}, "sequential"),
        ({"unit": "arm"}, "arm"),
    ],
)
def test_requests_that_cannot_be_meant_are_refused(tmp_path: Path, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(UsageError) as caught:
        analyze(tmp_path, shop(100), **asked)
    assert caught.value.field == field


def test_a_control_without_a_usual_name_is_asked_for(tmp_path: Path) -> None:
    columns = {**shop(400), "arm": np.where(np.arange(400) % 2, "v1", "v2")}
    with pytest.raises(UsageError, match=r"`control` is not given; choose from the arms of results\.parquet: v1, v2"):
        analyze(tmp_path, columns)
    assert analyze(tmp_path, columns, control="v2").comparisons[0].arm == "v1"


def test_a_table_without_units_is_judged_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = shop(400)
    del columns["unit"]
    assert analyze(tmp_path, columns, metrics="orders").comparisons
    assert "whether one is in two arms cannot be seen" in capsys.readouterr().err
