"""Image folders and the synthetic catalogue as data sets: names, listings, labels, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.distillation.sources import open_source
from edgekit.errors import EdgeKitError, InputError, UsageError
from edgekit.recipe.training import CatalogData, DataSpec
from tests.distillation.conftest import one_line


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of two photos, and one photo of none."""
    for index, name in enumerate(("shoe/a.png", "shoe/b.png", "bag/c.png", "bag/d.png", "alone.png")):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (index, 0, 0)).save(path)
    return tmp_path / "photos"


def test_a_subfolder_is_a_class_or_a_listing(photos: Path) -> None:
    classes = open_source(DataSpec(name="web", folder=photos))
    assert [classes.photo_name(index) for index in range(len(classes))] == [
        "alone.png", "bag/c.png", "bag/d.png", "shoe/a.png", "shoe/b.png",
    ]  # fmt: skip
    assert list(classes.labels["category"].names) == ["bag", "shoe"]
    assert classes.labels["category"].codes.tolist() == [-1, 0, 0, 1, 1]
    assert (classes.listings == -1).all()
    listings = open_source(DataSpec(name="web", folder=photos, folders="listing"))
    assert listings.listings.tolist() == [-1, 0, 0, 1, 1]
    assert not listings.labels
    image = classes.read(3, (16, 16))
    assert (image.shape, image.dtype) == ((16, 16, 3), np.uint8)
    assert classes.digest() != listings.digest()


def test_what_a_folder_cannot_give_is_refused(photos: Path) -> None:
    refused: list[tuple[DataSpec, type[EdgeKitError], str]] = [
        (DataSpec(name="web", folder=photos, folders="listing", labels={"kind": "x"}), UsageError, "use a table"),
        (DataSpec(name="web", folder=photos, labels={"a": "x", "b": "y"}), UsageError, "one label"),
        (DataSpec(name="web", folder=photos / "none"), InputError, "data web"),
    ]
    for spec, kind, words in refused:
        with pytest.raises(kind, match=words) as caught:
            open_source(spec)
        one_line(caught)


def test_the_catalogue_is_rendered_as_it_is_read() -> None:
    data = CatalogData(listings=2, start=3, photos=(0, 2))
    source = open_source(DataSpec(name="catalog", catalog=data, labels={"kind": "category"}))
    assert source.listings.tolist() == [3, 3, 4, 4]
    assert [source.photo_name(index) for index in (1, 2)] == ["listing-000003/photo-2", "listing-000004/photo-0"]
    assert len(source.labels["kind"].codes) == len(source) == 4
    np.testing.assert_array_equal(source.read(1, (32, 32)), source.read(1, (32, 32)))
    bare = open_source(DataSpec(name="catalog", catalog=data))
    assert source.digest() != bare.digest(), "labels are part of what is read"
    with pytest.raises(UsageError, match="has no 'price'"):
        open_source(DataSpec(name="catalog", catalog=data, labels={"kind": "price"}))
