"""What is staged is there whole or not at all, and nobody else's files are replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import OutputError
from edgekit.support.staging import move, staging


def ours(folder: Path) -> set[str] | None:
    return {"a", "b"} if (folder / "a").is_file() else None


def stage(final: Path, text: str, error: Exception | None = None) -> None:
    with staging(final, ours) as folder:
        (folder / "a").write_text(text)
        if error is not None:
            raise error


def test_a_result_replaces_the_one_before_and_an_error_leaves_it(tmp_path: Path) -> None:
    stage(tmp_path / "out", "first")
    stage(tmp_path / "out", "second")
    with pytest.raises(ValueError, match="stop"):
        stage(tmp_path / "out", "third", ValueError("stop"))
    assert (tmp_path / "out" / "a").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(("name", "words"), [("mine", "did not publish"), ("out", "is not a folder")])
def test_what_edgekit_did_not_write_is_not_replaced(tmp_path: Path, name: str, words: str) -> None:
    final = tmp_path / "out"
    if name == "out":
        final.write_text("x")
    else:
        final.mkdir()
        (final / name).write_text("x")
    with pytest.raises(OutputError, match=words) as caught:
        stage(final, "new")
    assert caught.value.field == "out" and "`out`" in str(caught.value)


def test_times_are_those_of_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    stage(tmp_path / "out", "x")
    assert (tmp_path / "out" / "a").stat().st_mtime == (tmp_path / "out").stat().st_mtime == 1_000_000_000


def test_two_folders_change_places(tmp_path: Path) -> None:
    for name in ("draft", "final"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    move(tmp_path / "draft", tmp_path / "final")
    assert (tmp_path / "final" / "draft").is_file()
