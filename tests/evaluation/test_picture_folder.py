"""Pictures by id: those below the folder, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import InputError
from edgekit.evaluation.picture_folder import PictureFolder


def photo(path: Path, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 30, 3), colour, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photo(tmp_path / "photos" / "shoes" / "1.png", (255, 0, 0))
    photo(tmp_path / "photos" / "shoes" / "v1.2.png", (0, 0, 255))
    photo(tmp_path / "secret.png", (0, 255, 0))
    return tmp_path / "photos"


def test_an_id_is_a_path_with_or_without_its_suffix(folder: Path) -> None:
    pictures = PictureFolder(folder)
    red, blue = pictures.thumbnail("shoes/1.png"), pictures.thumbnail("shoes/v1.2")
    assert red is not None and blue is not None and red != blue
    assert pictures.thumbnail("shoes/1") == red
    assert pictures.thumbnail("shoes/v1.2.png") == blue
    assert pictures.notes() == []


@pytest.mark.parametrize("id", ["../secret.png", "../secret", "shoes/../../secret.png", "shoes/v1", "", "shoes"])
def test_nothing_outside_of_the_folder_is_opened(folder: Path, id: str) -> None:
    pictures = PictureFolder(folder)
    assert pictures.thumbnail("shoes/1.png") is not None
    assert pictures.thumbnail(id) is None
    assert pictures.thumbnail(str(folder.parent / "secret.png")) is None
    assert pictures.notes()[0].startswith("2 of 3 pictures are not in the folder")


def test_a_damaged_picture_is_counted_and_named(folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing")
    pictures = PictureFolder(folder)
    assert [pictures.thumbnail(id) is None for id in ("bad.jpg", "shoes/1", "bad.jpg")] == [True, False, True]
    (note,) = pictures.notes()
    assert note.startswith("1 of 2 pictures cannot be read: bad.jpg: ")


def test_another_folder_is_an_error_that_says_what_an_id_is(folder: Path, tmp_path: Path) -> None:
    pictures = PictureFolder(folder)
    pictures.thumbnail("listing-1/photo-0.png")
    with pytest.raises(InputError, match=r"holds no image of 1 ids, such as listing-1/photo-0\.png"):
        pictures.notes()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no image"):
        PictureFolder(tmp_path / "empty")
    with pytest.raises(InputError, match="no such folder"):
        PictureFolder(tmp_path / "nowhere")
