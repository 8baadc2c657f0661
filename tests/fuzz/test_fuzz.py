"""Damaged files are refused in one line, by every parser of the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fuzz.__main__ import show
from tests.fuzz.mutate import damaged
from tests.fuzz.parsers import CORPUS, PARSERS, seeds_of
from tests.fuzz.run import Finding, feed, watched

QUICK, WHOLE = 25, 10_000
LONG = ("bom", "bundled-manifest", "coreml", "coreml-weights", "executorch")  # they import or take seconds


def test_every_parser_has_a_corpus_and_every_corpus_a_parser() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(PARSERS)
    assert all(seeds_of(name) for name in PARSERS)


def test_damage_is_the_same_for_the_same_number() -> None:
    seed = seeds_of("manifest")[0]
    versions = {damaged(seed, number) for number in range(50)}
    assert versions == {damaged(seed, number) for number in range(50)} and len(versions) > 40


@pytest.mark.parametrize("name", [name for name in PARSERS if name not in LONG])
def test_damaged_files_are_refused(name: str) -> None:
    report = feed(name, QUICK)
    assert report.finding is None, f"{report.finding}\n{report.last[:200]!r}"
    assert report.inputs == QUICK


def test_what_is_no_edgekit_error_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_path: Path) -> None:
        raise KeyError("a field")

    monkeypatch.setitem(PARSERS, "recipe", replace(PARSERS["recipe"], parse=broken))
    with pytest.raises(Finding, match="KeyError"):
        watched("recipe", b"", tmp_path / "last")


@pytest.mark.slow
def test_ten_thousand_damaged_files_of_each_kind() -> None:
    assert not show(PARSERS, WHOLE)
