"""What is searched: photos, or a file of embeddings."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from edgekit.embedding.sources import open_source
from edgekit.errors import InputError
from edgekit.evaluation.generative.gallery import open_shelf, photos_of
from tests.evaluation.made import listings, write


def test_a_file_of_embeddings_is_told_from_a_table_of_photos(tmp_path: Path) -> None:
    values, columns = listings(5)
    embedded = write(tmp_path / "g.parquet", values, columns)
    shelf = open_shelf(str(embedded))
    assert (shelf.name, shelf.source) == ("g.parquet", None)
    assert shelf.file is not None
    assert shelf.file.values.shape == (10, 16)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "photos.csv").write_text("id,path\nfirst,a.png\n")
    table = open_shelf(str(tmp_path / "photos.csv"))
    assert table.file is None
    assert table.source is not None
    assert open_shelf("catalog:10").catalog is not None
    assert table.catalog is None


@pytest.mark.parametrize("name", ["nothing.parquet", "nothing.csv", "nothing"])
def test_what_is_not_there_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"no such file|does not exist"):
        open_shelf(str(tmp_path / name))


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "g.parquet").write_bytes(b"PAR1" + bytes(50))
    with pytest.raises(InputError, match=r"g\.parquet") as caught:
        open_shelf(str(tmp_path / "g.parquet"))
    assert "\n" not in str(caught.value)


def test_photos_are_found_by_id_and_those_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.png")
    Image.new("RGB", (30, 20), "blue").save(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"no image")
    found = photos_of(open_source(str(tmp_path)), {"a.png", "c.png", "d.png"})
    assert list(found) == ["a.png"]
    height, width = found["a.png"].shape[:2]
    assert found["a.png"][height // 2, width // 2].tolist() == [255, 0, 0]
