"""Photos that the tests of several commands use."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from edgekit.data.datasets import CatalogPictures
from edgekit.recipe import InputSpec


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for picture in CatalogPictures(2, InputSpec(size=(64, 64))):
        Image.fromarray(picture.image).save(folder / f"{picture.name.replace('/', '-')}")
    return folder
