"""Thumbnails say nothing but what is seen, and stand in the order of the rows."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.data.images import load_image
from edgekit.embedding.run import EmbedRequest
from edgekit.embedding.sources import open_source
from edgekit.errors import InputError
from edgekit.support.progress import Silent
from edgekit.web import gallery
from edgekit.web.gallery import SIDE, thumbnail, thumbnail_name, write_thumbnails
from tests.web.made import PLACE, jpeg, png


@pytest.mark.parametrize("data", [jpeg(0, 900, 500, 6), png(0, 900, 500), jpeg(0, 40, 30)])
def test_a_thumbnail_is_upright_small_and_bare(data: bytes) -> None:
    assert PLACE in data
    made = thumbnail(data, "photo")
    assert PLACE not in made
    with Image.open(io.BytesIO(made)) as image:
        assert image.format == "JPEG"
        assert not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        upright = load_image(data).shape
        assert max(image.size) == min(SIDE, max(upright))
        assert (image.height > image.width) == (upright[0] > upright[1])
        whole = Image.fromarray(load_image(data)).resize(image.size)
        assert np.abs(np.asarray(image, float) - np.asarray(whole, float)).mean() < 6


def test_what_is_no_picture_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"^photo: cannot be decoded"):
        thumbnail(b"no picture", "photo")


def test_an_interrupted_run_claims_to_keep_nothing(
    tower_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt("what is done is kept")

    monkeypatch.setattr(gallery, "embed", stopped)
    with pytest.raises(KeyboardInterrupt) as caught:
        gallery.embed_photos(EmbedRequest(str(tmp_path), tower_file, tmp_path / "g.parquet"), Silent())
    assert str(caught.value.__cause__ or caught.value) == ""


def test_rows_and_thumbnails_agree_and_samples_are_spread_evenly(tmp_path: Path) -> None:
    photos, out, kept = (tmp_path / name for name in ("photos", "out", "kept"))
    for folder in (photos, out, kept):
        folder.mkdir()
    for number in range(9):
        (photos / f"{number}.png").write_bytes(png(number))
    ids = [f"{number}.png" for number in range(9) if number != 4]  # one could not be embedded
    samples = write_thumbnails(open_source(str(photos)), ids, out, (3, kept), Silent())
    assert sorted(path.name for path in out.iterdir()) == [thumbnail_name(row) for row in range(8)]
    for row, id in enumerate(ids):
        assert (out / thumbnail_name(row)).read_bytes() == thumbnail((photos / id).read_bytes(), id)
    assert [sample.name for sample in samples] == ["0.png", "5.png", "8.png"]
    assert [sample.file.read_bytes() for sample in samples] == [(photos / s.name).read_bytes() for s in samples]
