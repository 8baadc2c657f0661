"""A check list for people: what was found with each picture, and what the automatic verdict on it is.

Automatic judgement does not know what a culture means by a word, so people look at some queries, and Cohen's kappa says
how far they agree. The list is a CSV that a spreadsheet opens; no cell of it is taken for a formula there.
"""

from __future__ import annotations

import csv
import io
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit.errors import InputError
from edgekit.evaluation.generative.report import Reviewed
from edgekit.evaluation.libraries import library
from edgekit.support.files import write_atomically
from edgekit.support.text import reason_of, shown

__all__ = ["Check", "read_review", "reviewed", "write_review"]

_COLUMNS = ("query", "language", "text", "picture", "found", "automatic", "human")
_SAYS = {True: "right", False: "wrong"}
_MEANS = {"right": True, "yes": True, "y": True, "1": True, "wrong": False, "no": False, "n": False, "0": False}
_FORMULA = "=+-@\t\r\n＝＋－＠'"  # what a spreadsheet takes for the start of one, and the sign that says it is none
_MOST_BYTES = 64 << 20
_BETWEEN = " | "  # ids of found items


@dataclass(frozen=True)
class Check:
    """A row of the list; `human` is None as long as nobody has judged it."""

    query: str
    language: str
    text: str
    picture: str
    found: str
    automatic: bool
    human: bool | None = None

    @staticmethod
    def of(query: str, language: str, text: str, picture: str, found: Sequence[str], automatic: bool) -> Check:
        """A new row; texts are made safe to show."""
        safe = [shown(cell, None).strip() for cell in (text, picture, _BETWEEN.join(found))]
        return Check(query, language, safe[0], safe[1], safe[2], automatic)

    @property
    def what(self) -> tuple[str, ...]:
        """What a verdict is on: the text, the picture's name, and the found items."""
        cells = (self.text, self.picture.replace("\\", "/").rsplit("/", 1)[-1], self.found)
        return self.query, *(cell.lstrip("'").strip() for cell in cells)


def write_review(path: Path, rows: Sequence[Check]) -> None:
    """Write the list, all of it or nothing. OutputError where that fails."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        human = "" if row.human is None else _SAYS[row.human]
        cells = (row.query, row.language, row.text, row.picture, row.found, _SAYS[row.automatic], human)
        writer.writerow([_guarded(cell) for cell in cells])
    write_atomically(path, "\ufeff" + stream.getvalue())  # without the mark, spreadsheets misread what is not English


def read_review(path: Path) -> list[Check]:
    """Read a list, as it was written or as a spreadsheet saved it (with semicolons or tabs, without quotes).

    Raises:
        InputError: it is no such list, or damaged, or has a verdict that is none.
    """
    where = shown(str(path))
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(
                f"{where}: over {_MOST_BYTES >> 20} MiB, more than is read of a check list", field="review"
            )
        text = path.read_text(encoding="utf-8-sig")
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{where}: cannot be read as CSV in UTF-8 ({reason_of(error, 160)}); save it so, or give another `review`",
            field="review",
        ) from error
    if not lines or tuple(cell.strip() for cell in lines[0]) != _COLUMNS:
        raise InputError(
            f"{where}: is no check list: its first line is not {','.join(_COLUMNS)}; give another `review`",
            field="review",
        )
    rows = [_row(where, number, cells) for number, cells in enumerate(lines[1:], start=2) if any(cells)]
    if len({row.query for row in rows}) < len(rows):
        raise InputError(f"{where}: has a query twice; take one row out", field="review")
    return rows


def reviewed(filled: Sequence[Check], now: Sequence[Check], path: Path) -> tuple[Reviewed, list[Check]]:
    """What the verdicts say, and the rows to be written: those of now, each with its verdict.

    A verdict on another text, another picture or other found items is stale and does not count.

    Raises:
        InputError: no row of the list is of a query that is asked now.
    """
    by_query = {row.query: row for row in filled}
    if filled and not any(row.query in by_query for row in now):
        raise InputError(
            f"{shown(str(path))}: is the check list of other queries (first {shown(filled[0].query, 60)!r}); give "
            "another `review`",
            field="review",
        )
    rows = []
    for row in now:
        old = by_query.get(row.query)
        rows.append(replace(row, human=old.human) if old is not None and old.what == row.what else row)
    judged = [(row.automatic, row.human) for row in rows if row.human is not None]
    stale = sum(row.human is not None for row in filled) - len(judged)
    return (
        Reviewed(
            rows=len(rows),
            judged=len(judged),
            stale=stale,
            agreed=sum(a == b for a, b in judged) / len(judged) if judged else None,
            kappa=_kappa(judged),
        ),
        rows,
    )


def _kappa(judged: Sequence[tuple[bool, bool | None]]) -> float | None:
    if not judged:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of both raters giving one and the same verdict everywhere
        kappa = float(library("sklearn.metrics").cohen_kappa_score(*zip(*judged, strict=True)))
    return kappa if math.isfinite(kappa) else None


def _row(where: str, number: int, cells: Sequence[str]) -> Check:
    if len(cells) != len(_COLUMNS):
        raise InputError(f"{where}: line {number} has {len(cells)} cells, not {len(_COLUMNS)}; mend it", field="review")
    *texts, automatic, human = (cell.strip().removeprefix("'") for cell in cells)
    verdict = human.strip().lower()
    if automatic.strip().lower() not in _MEANS or (verdict and verdict not in _MEANS):
        wrong = human if automatic.strip().lower() in _MEANS else automatic
        raise InputError(
            f"{where}: line {number} has the verdict {shown(wrong, 40)!r}; write right or wrong, or leave it empty",
            field="review",
        )
    query, language, text, picture, found = texts
    return Check(query, language, text, picture, found, _MEANS[automatic.strip().lower()], _MEANS.get(verdict))


def _guarded(cell: str) -> str:
    return f"'{cell}" if cell[:1] and cell[0] in _FORMULA else cell


def _delimiter(text: str) -> str:
    head = text.split("\n", 1)[0]
    return max(",;\t", key=head.count)
