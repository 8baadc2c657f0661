"""The parts of a run that was stopped: whole or absent, and of one model and one set of data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.embedding.journal import Journal
from edgekit.embedding.work import Part
from edgekit.errors import InputError, OutputError, UsageError

KEYS = {"model": "m", "data": "d"}


def part(rows: int = 3) -> Part:
    values = np.random.default_rng(rows).normal(size=(rows, 4)).astype(np.float32)
    return Part([f"id-{row}\n" for row in range(rows)], values, [("x", "")] * rows, [("bad.jpg", "why")])


def opened(out: Path, keys: dict[str, str] = KEYS, *, anew: bool = False) -> Journal:
    journal = Journal(out, keys, anew=anew)
    journal.close()
    return journal


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "a.parquet"


@pytest.mark.parametrize("rows", [0, 3])
def test_a_part_comes_back(out: Path, rows: int) -> None:
    journal = opened(out)
    journal.write(5, part(rows))
    again = opened(out)
    assert again.done() == {5}
    found, due = again.read(5), part(rows)
    assert (found.ids, found.skipped, [tuple(texts) for texts in found.texts]) == (due.ids, due.skipped, due.texts)
    np.testing.assert_array_equal(found.values, due.values)


def test_rows_come_in_order_with_their_columns(out: Path) -> None:
    journal = opened(out)
    for number, rows in ((1, 2), (0, 3), (2, 0)):
        journal.write(number, part(rows))
    skipped: list[tuple[str, str]] = []
    batches = list(journal.rows(3, ("style", "label"), skipped))
    assert [len(batch.ids) for batch in batches] == [3, 2]
    assert batches[1].columns == {"style": ["x", "x"], "label": ["", ""]}
    assert skipped == [("bad.jpg", "why")] * 3


@pytest.mark.parametrize("keep", [0, 5, -1])
def test_a_part_that_is_cut_short_counts_as_not_done(out: Path, keep: int) -> None:
    journal = opened(out)
    journal.write(0, part())
    path = journal.folder / "0000000.part"
    path.write_bytes(path.read_bytes()[:keep])
    assert opened(out).done() == set()
    with pytest.raises(InputError, match="damaged"):
        journal.read(0)


def test_a_part_whose_bytes_never_reached_the_disk_counts_as_not_done(out: Path) -> None:
    journal = opened(out)
    journal.write(0, part())
    path = journal.folder / "0000000.part"
    path.write_bytes(path.read_bytes()[:-8] + b"\0" * 8)
    (journal.folder / "0000001.new").write_bytes(b"half")
    assert opened(out).done() == set()
    assert not (journal.folder / "0000001.new").exists()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"model": "other", "data": "d"}, "another model"),
        ({"model": "m", "data": "other"}, "other data"),
        ({"model": "x", "data": "y"}, "another model and other data"),
    ],
)
def test_an_earlier_run_of_another_kind_is_refused_unless_anew(out: Path, keys: dict[str, str], words: str) -> None:
    opened(out).write(0, part())
    with pytest.raises(UsageError, match=f"of {words}; finish that one, or begin anew with `overwrite=True`"):
        opened(out, keys)
    assert opened(out, anew=True).done() == {0}
    assert opened(out, keys, anew=True).done() == set()
    assert opened(out, keys).done() == set()


@pytest.mark.parametrize("content", ["", "[]", '{"edgekit_journal": 3}', '{"edgekit_journal": {"model": "m"}}'])
def test_a_damaged_journal_is_refused_unless_anew(out: Path, content: str) -> None:
    journal = opened(out)
    journal.write(0, part())
    (journal.folder / "journal.json").write_text(content)
    with pytest.raises(UsageError, match="of an unknown kind"):
        opened(out)
    assert opened(out, anew=True).done() == set()


def test_a_folder_of_someone_else_is_left_alone(out: Path) -> None:
    folder = out.with_name("a.parquet.part")
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"thesis\.txt: is not of a run"):
        opened(out, anew=True)
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_two_runs_do_not_fill_one_folder(out: Path) -> None:
    first = Journal(out, KEYS, anew=False)
    with pytest.raises(UsageError, match="another process is filling it"):
        Journal(out, KEYS, anew=False)
    first.close()
    opened(out).remove()
    assert not list(out.parent.iterdir())


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        opened(tmp_path / "file" / "a.parquet")
