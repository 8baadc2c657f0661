"""The check list: written for spreadsheets, read back from them, and held against the automatic verdict."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from edgekit.errors import InputError
from edgekit.evaluation.generative.review import Check, read_review, reviewed, write_review


def checks(count: int) -> list[Check]:
    return [
        Check.of(f"en-{number:06d}", "en", f"mug {number}", f"pictures/{number}.png", ["a", "b"], number % 3 > 0)
        for number in range(count)
    ]


def judged_by_people(count: int, wrong: int) -> list[Check]:
    """Verdicts that differ from the automatic ones in the first `wrong` rows."""
    return [replace(row, human=row.automatic != (at < wrong)) for at, row in enumerate(checks(count))]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    rows = [*judged_by_people(4, 1), *checks(6)[4:]]
    write_review(path, rows)
    assert read_review(path) == rows
    before = path.read_bytes()
    write_review(path, read_review(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "＝", "'"])
def test_no_cell_is_a_formula(tmp_path: Path, sign: str) -> None:
    path, text = tmp_path / "list.csv", f'{sign}HYPERLINK("http://x";"y")'
    row = Check.of("en-000001", "en", text, f"{sign}.png", [f"{sign}cmd"], True)
    write_review(path, [row])
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = list(csv.reader(file))[1]
    assert [cells[at] for at in (2, 3, 4)] == [f"'{text}", f"'{sign}.png", f"'{sign}cmd"]
    assert read_review(path) == [row]


def test_kappa_is_sklearns_over_the_judged_rows(tmp_path: Path) -> None:
    filled = [*judged_by_people(12, 3), *checks(15)[12:]]
    found, rows = reviewed(filled, checks(15), tmp_path / "list.csv")
    assert (found.rows, found.judged, found.stale) == (15, 12, 0)
    assert found.agreed == 9 / 12
    automatic = [row.automatic for row in filled[:12]]
    human = [row.human for row in filled[:12]]
    assert found.kappa == pytest.approx(cohen_kappa_score(automatic, human))
    assert rows == filled


def test_kappa_of_verdicts_that_are_all_equal_is_not_known(tmp_path: Path) -> None:
    now = [replace(row, automatic=True) for row in checks(4)]
    found, _ = reviewed([replace(row, human=True) for row in now], now, tmp_path / "list.csv")
    assert (found.judged, found.agreed, found.kappa) == (4, 1.0, None)
    empty, _ = reviewed([], now, tmp_path / "list.csv")
    assert (empty.judged, empty.agreed, empty.kappa) == (0, None, None)


def test_a_verdict_on_other_found_items_or_another_picture_is_stale(tmp_path: Path) -> None:
    filled = judged_by_people(4, 0)
    now = checks(4)
    now[0] = replace(now[0], found="c | d")
    now[1] = replace(now[1], picture="pictures/other.png")
    now[2] = replace(now[2], picture="elsewhere/2.png")  # the same file in another folder
    found, rows = reviewed(filled, now, tmp_path / "list.csv")
    assert (found.judged, found.stale) == (2, 2)
    assert [row.human is None for row in rows] == [True, True, False, False]


def test_the_list_of_other_queries_is_refused(tmp_path: Path) -> None:
    foreign = [replace(row, query=f"xx-{at}") for at, row in enumerate(checks(3))]
    with pytest.raises(InputError, match="is the check list of other queries"):
        reviewed(foreign, checks(3), tmp_path / "list.csv")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_spreadsheets_delimiters_and_words_are_read(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "list.csv"
    write_review(path, checks(3))
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file))
    for line, verdict in zip(lines[1:], ("YES", " no ", "0"), strict=True):
        line[-1] = verdict
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(lines)
    assert [row.human for row in read_review(path)] == [True, False, False]


HEADER = "query,language,text,picture,found,automatic,human\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is no check list"),
        ("id,name\n1,2\n", "is no check list"),
        (f"{HEADER}en-1,en,mug,a.png,x,right\n", "line 2 has 6 cells, not 7"),
        (f"{HEADER}en-1,en,mug,a.png,x,right,perhaps\n", "line 2 has the verdict 'perhaps'"),
        (f"{HEADER}en-1,en,mug,a.png,x,maybe,\n", "line 2 has the verdict 'maybe'"),
        (f"{HEADER}en-1,en,a,a.png,x,right,\nen-1,en,b,b.png,x,right,\n", "has a query twice"),
        (f'{HEADER}en-1,en,"mug,a.png', "cannot be read as CSV"),
    ],
)
def test_a_damaged_or_foreign_list_is_one_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=said) as caught:
        read_review(path)
    assert "\n" not in str(caught.value)
    assert caught.value.field == "review"


def test_a_picture_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(InputError, match="cannot be read as CSV in UTF-8"):
        read_review(tmp_path / "list.csv")


CELLS = st.text(max_size=30)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CELLS, CELLS, st.lists(CELLS, max_size=3), st.booleans(), st.sampled_from([None, True, False]))
def test_any_text_survives(
    tmp_path: Path, text: str, picture: str, found: list[str], automatic: bool, human: bool | None
) -> None:
    row = replace(Check.of("en-000001", "en", text, picture, found, automatic), human=human)
    write_review(tmp_path / "list.csv", [row])
    (read,) = read_review(tmp_path / "list.csv")
    judged, _ = reviewed([read], [replace(row, human=None)], tmp_path / "list.csv")
    assert (judged.judged, judged.stale) == (int(human is not None), 0)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(HEADER.encode() + content)
    try:
        read_review(path)
    except InputError as error:
        assert "\n" not in str(error)
