"""Pictures that are kept by what they follow from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import InputError, OutputError
from edgekit.evaluation.generative.pictures import check_languages, draw_pictures, write_table
from edgekit.evaluation.generative.queries import Query
from edgekit.support.progress import Silent


class Painter:
    """A generator that paints the length of a text, and understands no text that begins with a question mark."""

    languages = ("en", "de")

    def __init__(self, key: str = "painter") -> None:
        self.name, self.key = "the painter", key
        self.painted: list[str] = []

    def draw(self, text: str, language: str) -> np.ndarray | None:
        self.painted.append(text)
        return None if text.startswith("?") else np.full((8, 8, 3), len(text), np.uint8)


def queries(*texts: str, language: str = "en") -> list[Query]:
    return [Query(f"{language}-{number}", text, language, ["a"]) for number, text in enumerate(texts)]


def test_a_picture_is_found_by_text_language_and_key(tmp_path: Path) -> None:
    painter = Painter()
    names = draw_pictures(queries("mug", "?", "red mug"), painter, tmp_path, Silent())
    assert names[1] is None
    for name, value in ((names[0], 3), (names[2], 7)):
        assert name is not None
        assert np.asarray(Image.open(tmp_path / "pictures" / name))[0, 0, 0] == value
    assert draw_pictures(queries("red mug", "mug"), painter, tmp_path, Silent()) == [names[2], names[0]]
    assert painter.painted == ["mug", "?", "red mug"]
    others = [
        draw_pictures(queries("mug"), Painter("another"), tmp_path, Silent()),
        draw_pictures(queries("mug", language="de"), painter, tmp_path, Silent()),
    ]
    assert len({names[0], *others[0], *others[1]}) == 3


def test_a_language_that_is_not_read_is_one_line() -> None:
    with pytest.raises(InputError, match="1 of 2 texts are in languages that the painter does not read, first 'fi'"):
        check_languages([*queries("mug"), *queries("muki", language="fi")], Painter())
    check_languages(queries("mug"), Painter())


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-20], lambda data: b"x" + data[1:]])
def test_a_kept_picture_that_is_damaged_is_drawn_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    (name,) = draw_pictures(queries("mug"), Painter(), tmp_path, Silent())
    assert name is not None
    path = tmp_path / "pictures" / name
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert draw_pictures(queries("mug"), Painter(), tmp_path, Silent()) == [name]
    assert path.read_bytes() == whole


def test_the_table_holds_what_was_drawn_and_stays_as_it_is(tmp_path: Path) -> None:
    asked = queries("mug", "?", "red mug")
    path = write_table(asked, draw_pictures(asked, Painter(), tmp_path, Silent()), tmp_path)
    lines = path.read_text().splitlines()
    assert lines[0] == "id,path,language"
    assert [line.split(",")[0] for line in lines[1:]] == ["en-0", "en-2"]
    assert all((tmp_path / line.split(",")[1]).is_file() for line in lines[1:])
    before = path.stat().st_mtime_ns
    assert write_table(asked, draw_pictures(asked, Painter(), tmp_path, Silent()), tmp_path) == path
    assert path.stat().st_mtime_ns == before


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="give another `out`"):
        draw_pictures(queries("mug"), Painter(), tmp_path / "file", Silent())


class Killed(Painter):
    """A painter whose process is killed at the third picture."""

    def draw(self, text: str, language: str) -> np.ndarray | None:
        if len(self.painted) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().draw(text, language)


def test_a_killed_run_draws_no_picture_twice_and_loses_none(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.evaluation.generative import test_pictures as tests\n"
        "asked = tests.queries('a', 'ab', 'abc', 'abcd')\n"
        "tests.draw_pictures(asked, tests.Killed(), Path(sys.argv[1]), tests.Silent())"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    painter = Painter()
    names = draw_pictures(queries("a", "ab", "abc", "abcd"), painter, tmp_path, Silent())
    assert painter.painted == ["abc", "abcd"]
    assert len({name for name in names if name is not None}) == 4
