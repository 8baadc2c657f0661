"""The images of an export: a folder's, or the catalogue's, the same in every reading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.data.datasets import CatalogPictures, a_few, pictures, tell_skipped
from edgekit.data.images import Folder
from edgekit.errors import InputError
from edgekit.recipe import InputSpec
from edgekit.support.progress import Silent

SPEC = InputSpec(size=(32, 48))


def test_the_catalogue_gives_two_photos_a_listing_of_the_model_s_size_the_same_each_time() -> None:
    data = CatalogPictures(5, SPEC)
    first, again = list(data), list(data)
    assert len(data) == len(first) == 5
    assert [picture.label for picture in first] == ["0", "0", "1", "1", "2"]
    for one, other in zip(first, again, strict=True):
        assert one.image.shape == (32, 48, 3) and one.image.dtype == np.uint8
        assert (one.name, one.label) == (other.name, other.label)
        np.testing.assert_array_equal(one.image, other.image)
    assert data.digest() == CatalogPictures(5, SPEC).digest() != CatalogPictures(5, SPEC, seed=1).digest()


def test_the_splits_show_different_listings() -> None:
    test, train = (next(iter(CatalogPictures(1, SPEC, split=split))).image for split in ("test", "train"))
    assert (test != train).any()


def test_without_a_folder_there_is_the_catalogue_and_one_that_is_missing_is_refused(tmp_path: Path) -> None:
    assert pictures(None, 4, SPEC, Silent()).name.startswith("synthetic catalogue")
    with pytest.raises(InputError, match="no such folder"):
        pictures(tmp_path / "none", 4, SPEC, Silent())


def test_images_that_are_left_out_or_cannot_be_read_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        Image.new("RGB", (40, 40), (40 * number, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    (tmp_path / "raw.dng").write_bytes(b"")
    data = pictures(tmp_path, 0, SPEC, Silent())
    assert "1 of 6 images left out, 1 DNG (raw.dng)" in capsys.readouterr().err
    assert len(list(data)) == 4
    tell_skipped(data, Silent())
    assert "1 of 5 images cannot be read: broken.png" in capsys.readouterr().err


def test_a_few_of_the_catalogue_are_its_first_listings() -> None:
    data = CatalogPictures(64, SPEC)
    few = a_few(data, 16)
    assert [picture.name for picture in few] == [picture.name for picture in data][:16]
    assert a_few(data, 64) is data and few.digest() != data.digest()


def test_a_few_of_a_folder_are_pairs_of_neighbours_from_all_over_it(tmp_path: Path) -> None:
    for index in range(40):
        folder = tmp_path / f"label{index // 4:02}"
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (20, 20), (index, 0, 0)).save(folder / f"{index:02}.png")
    few = a_few(Folder(tmp_path, SPEC), 8)
    names = [picture.name for picture in few]
    assert len(few) == len(names) == 8 and "8 of 40 images" in few.name
    numbers = [int(name.split("/")[1][:2]) for name in names]
    assert (numbers[0], numbers[-1]) == (0, 39)
    assert all(second == first + 1 for first, second in zip(numbers[::2], numbers[1::2], strict=True))
    assert len(a_few(Folder(tmp_path, SPEC), 2)) == 2
