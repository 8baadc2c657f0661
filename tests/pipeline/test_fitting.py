"""Targets of one platform beside each other: what one of them cannot be is told, not refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgekit import targets
from edgekit.errors import UsageError
from edgekit.pipeline import ExportRequest
from edgekit.pipeline.fitting import fitting
from edgekit.support.progress import Silent


def fit(names: Any, format: str | None, **fields: Any) -> tuple[list[str], ExportRequest]:
    request = ExportRequest("tests.toys:tower", targets.select(names, format), out=Path("unused"), **fields)
    fitted = fitting(request, Silent())
    return [row.key for row in fitted.targets], fitted


def test_without_a_version_each_format_has_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    keys, request = fit("all", "all")
    assert keys == [row.key for row in targets.select("all", "all")]
    assert {row.key: row.ios_of(request.min_ios) for row in request.targets if row.ios} == {
        "ios": 16,
        "ios-executorch": 16,
        "ios-coreai": 27,
    }
    assert capsys.readouterr().err == ""


def test_an_older_ios_has_core_ml_beside_core_ai(capsys: pytest.CaptureFixture[str]) -> None:
    keys, request = fit("ios", "all", min_ios=18)
    assert keys == ["ios", "ios-executorch", "ios-coreai"]
    assert [row.ios_of(request.min_ios) for row in request.targets] == [18, 18, 27]
    assert "the file for ios (coreai) is for iOS 27 and newer" in capsys.readouterr().err


@pytest.mark.parametrize(("min_ios", "choice"), [(26, "27"), (16, "27")])
def test_core_ai_alone_is_not_for_an_older_ios(min_ios: int, choice: str) -> None:
    message = rf"`min_ios` is {min_ios}, .*ios \(coreai\).*choose one of {choice}$"
    with pytest.raises(UsageError, match=message) as caught:
        fit("ios", "coreai", min_ios=min_ios)
    assert caught.value.field == "min_ios"


def test_from_ios_27_on_core_ai_is_told_of_where_it_is_not_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("ios", None, min_ios=27)[0] == ["ios"]
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "iOS 27 has Core AI" in told and '`format="coreai"`' in told
    fit("ios", "all", min_ios=27)
    fit("android", None, min_ios=27)
    fit("ios", None, min_ios=18)
    assert capsys.readouterr().err == ""


def test_a_format_without_plans_is_left_out_beside_others_alone(capsys: pytest.CaptureFixture[str]) -> None:
    keys, _ = fit("ios", "all", precision="int8", min_ios=18)
    assert keys == ["ios", "ios-coreai"]
    assert "ios (executorch) cannot hold a plan and is left out" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"cannot be lowered to ios \(executorch\)"):
        fit("ios", "executorch", precision="int8", min_ios=18)


def test_a_row_from_outside_is_told_as_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    row = replace(targets.find("ios", "coreml"), key="ios-new", format="new", newer_ios="a newer runtime", ios=(18,))
    targets.register(row)
    try:
        fit("ios", None, min_ios=18)
    finally:
        targets.unregister(row)
    assert 'iOS 18 has a newer runtime: `format="new"` makes a file for it' in capsys.readouterr().err
