"""Writing a catalogue: what lies on the disk, and what never does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from edgekit.data.catalog import Catalog, writer
from edgekit.errors import OutputError, UsageError


def test_image_folder_and_table_describe_the_catalogue(tmp_path: Path) -> None:
    catalog, seen = Catalog(4, 2, size=32), []
    out = writer.write_catalog(catalog, tmp_path / "shop", lambda done, total: seen.append((done, total)))
    assert seen == [(n, 8) for n in range(1, 9)]
    rows = parquet.read_table(out / "listings.parquet").to_pylist()
    assert [row["id"] for row in rows] == [f"listing-{n:06d}" for n in range(4)]
    for row in rows:
        listing = catalog.listing(row["index"])
        assert row["caption_ja"] == listing.captions["ja"]
        files = sorted((out / "images" / listing.fine_category.replace(" ", "-")).glob(f"{listing.id}-*.png"))
        assert [file.name for file in files] == [f"{listing.id}-photo-0-seller.png", f"{listing.id}-photo-1-review.png"]
        assert np.array_equal(np.asarray(Image.open(files[1])), catalog.render(listing.index, 1))


def test_an_earlier_catalogue_is_replaced_whole(tmp_path: Path) -> None:
    writer.write_catalog(Catalog(5, 2, size=32), tmp_path / "shop")
    writer.write_catalog(Catalog(2, 1, size=32), tmp_path / "shop")
    assert len(list((tmp_path / "shop").rglob("*.png"))) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(UsageError, match="not empty"):
        writer.write_catalog(Catalog(1, 1, size=32), tmp_path)
    assert (tmp_path / "holiday.jpg").read_bytes() == b"mine"
    with pytest.raises(UsageError, match="not a folder"):
        writer.write_catalog(Catalog(1, 1, size=32), tmp_path / "holiday.jpg")


def test_an_interrupted_write_leaves_the_old_catalogue(tmp_path: Path) -> None:
    writer.write_catalog(Catalog(2, 1, size=32), tmp_path / "shop")

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        writer.write_catalog(Catalog(9, 1, size=32), tmp_path / "shop", stop)
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]
    assert len(list((tmp_path / "shop").rglob("*.png"))) == 2


def test_a_full_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutputError, match="No space left on device"):
        writer.write_catalog(Catalog(1, 1, size=32), tmp_path / "shop")
    assert list(tmp_path.iterdir()) == []
