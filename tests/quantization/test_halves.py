"""One folder of photographs, parted into those that ranges come from and those that judge."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.data.images import Folder
from edgekit.errors import InputError
from edgekit.quantization.halves import halves
from edgekit.recipe import InputSpec

SPEC = InputSpec(size=(16, 16))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two labels of 20 images each, and a copy of one under another name."""
    rng = np.random.default_rng(0)
    for number in range(40):
        path = tmp_path / "photos" / f"label{number % 2}" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(path)
    shutil.copy(tmp_path / "photos" / "label0" / "00.png", tmp_path / "photos" / "label1" / "copy.png")
    return tmp_path / "photos"


def test_no_image_is_in_both_halves_nor_a_copy_of_one(photos: Path) -> None:
    calibration, others = halves(Folder(photos, SPEC))
    contents = [{picture.image.tobytes() for picture in half} for half in (calibration, others)]
    assert contents[0].isdisjoint(contents[1])
    assert len(contents[0]) == len(contents[1]) == 20
    assert len(calibration) + len(others) == 41
    assert calibration.digest() != others.digest()


def test_every_label_is_in_both_halves(photos: Path) -> None:
    for half in halves(Folder(photos, SPEC)):
        labels = [picture.label for picture in half]
        assert 9 <= labels.count("label0") <= 11


def test_names_decide_nothing(photos: Path) -> None:
    before = [{picture.image.tobytes() for picture in half} for half in halves(Folder(photos, SPEC))]
    for path in sorted(photos.rglob("*.png")):
        path.rename(path.with_name(f"{int.from_bytes(path.read_bytes()[-20:-12], 'big'):x}-{path.name}"))
    assert [{picture.image.tobytes() for picture in half} for half in halves(Folder(photos, SPEC))] == before


def test_too_few_are_one_line(photos: Path) -> None:
    for path in sorted(photos.rglob("*.png"))[:12]:
        path.unlink()
    with pytest.raises(InputError, match="too few to calibrate on some and judge the files on the others") as caught:
        halves(Folder(photos, SPEC))
    assert "\n" not in str(caught.value)
