"""Metrics from text, from TOML, and guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import InputError, UsageError
from edgekit.experiment.metric import ExperimentMetric, guess_metrics, metrics_of


def test_a_metric_is_written_as_text_or_toml(tmp_path: Path) -> None:
    text = "ctr:column=clicks,per=views,want=up"
    (tmp_path / "m.toml").write_text('[[metrics]]\nname = "ctr"\ncolumn = "clicks"\nper = "views"\nwant = "up"\n')
    expected = (ExperimentMetric(name="ctr", column="clicks", per="views", want="up"),)
    assert (
        metrics_of(text)
        == metrics_of([text])
        == metrics_of(str(tmp_path / "m.toml"))
        == metrics_of(expected)
        == expected
    )
    assert expected[0].columns == ("clicks", "views")
    assert metrics_of("orders")[0].columns == ("orders",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("orders:up", "NAME:KEY=VALUE"),
        ("orders:want=more", "want"),
        ("orders:colour=red", "colour"),
        (":want=up", "name"),
        ("ctr:kind=ratio", "denominator"),
        ("ctr:kind=rate,per=views", "leave it out"),
        ("orders:kind=median", "kind"),
    ],
)
def test_text_that_is_no_metric_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        metrics_of(text)
    assert caught.value.field == "metrics"
    assert "\n" not in str(caught.value)


def test_one_name_is_one_metric() -> None:
    with pytest.raises(UsageError, match="'a' twice"):
        metrics_of(["a", "a:want=up"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"x =", "TOML"),
        (b"\xff", "TOML"),
        (b"", "list of metrics"),
        (b"metrics = 3", "list of metrics"),
        (b'[[metrics]]\nname = "a"\n[other]', "list of metrics"),
        (b"[[metrics]]\ncolumn = 'a'", "name"),
        (b"#" * ((1 << 20) + 1), "1 MiB"),
    ],
)
def test_a_file_that_has_no_metrics_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "m.toml").write_bytes(content)
    with pytest.raises(InputError, match=words):
        metrics_of(str(tmp_path / "m.toml"))
    with pytest.raises(InputError, match="cannot be read"):
        metrics_of(str(tmp_path / "none.toml"))


def test_columns_of_numbers_are_metrics_and_those_from_before_their_covariates() -> None:
    found = guess_metrics(["unit", "orders", "revenue", "pre_revenue", "clicks", "clicks_before"], ["unit"])
    assert [(metric.name, metric.covariate) for metric in found] == [
        ("orders", None),
        ("revenue", "pre_revenue"),
        ("clicks", "clicks_before"),
    ]
