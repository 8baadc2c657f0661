from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.data import image_files
from edgekit.data.image_files import LeftOut, MostLeftOutError, is_unread, readable, scan
from edgekit.data.images import Folder, load_image
from edgekit.errors import InputError
from edgekit.recipe import InputSpec

SPEC = InputSpec(size=(32, 32))
ORIENTATION = 0x0112
heif = pytest.mark.skipif(importlib.util.find_spec("pillow_heif") is None, reason="pillow-heif is not installed")


@pytest.fixture
def without_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pillow_heif" else found(name))
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    readable.cache_clear()


@pytest.fixture(autouse=True)
def fresh() -> object:
    yield
    readable.cache_clear()


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if Path(name).suffix == ".png":
            Image.fromarray(np.full((8, 8, 3), len(name), np.uint8)).save(path)
        else:
            path.write_bytes(b"\0" * 40)
    return root


def test_images_of_kinds_that_are_not_read_are_counted_and_named(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{index}.png" for index in range(5)), "a/x.DNG", "b.jxl", "c.dng", "d.CR3", "e.PNG.txt", "f.mp4")
    folder = Folder(tmp_path, SPEC)
    assert folder.left_out.kinds == {"DNG": 2, "CR3": 1, "JXL": 1}
    assert folder.left_out.facts() == {
        "images": 4,
        "kinds": folder.left_out.kinds,
        "first": ["a/x.DNG", "b.jxl", "c.dng"],
    }
    line = folder.left_out.line("photos")
    assert line.startswith("photos: 4 of 9 images left out, 2 DNG, 1 CR3, 1 JXL (a/x.DNG, b.jxl, c.dng, ...); convert")
    assert len(folder) == 5


def test_what_systems_write_beside_photos_is_no_image(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "._a.png", "._b.HEIC", ".DS_Store", "Thumbs.db", "__MACOSX/._a.png", "desktop.ini")
    found = scan(tmp_path)
    assert (found.names, found.left_out.names) == (("a.png",), ())
    assert found.left_out.facts() is None


@pytest.mark.parametrize(("read", "unread", "refused"), [(3, 3, False), (3, 4, True), (0, 1, True)])
def test_over_half_left_out_is_an_error(tmp_path: Path, read: int, unread: int, refused: bool) -> None:
    touch(tmp_path, *(f"{index}.png" for index in range(read)), *(f"{index}.nef" for index in range(unread)))
    if not refused:
        assert len(scan(tmp_path).names) == read
        return
    with pytest.raises(MostLeftOutError, match=rf"{unread} of {read + unread} images left out, {unread} NEF \(0.nef"):
        Folder(tmp_path, SPEC)


def test_sums_keep_names_and_counts() -> None:
    both = LeftOut(("a.jxl",), 3).below(Path("one")) + LeftOut(("b.heic",), 4)
    assert both == LeftOut(("one/a.jxl", "b.heic"), 7)


def test_a_name_cannot_steer_the_terminal(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "\x1b[2J\n.heif" if "heif" not in " ".join(readable()) else "\x1b[2J\n.jxl")
    assert scan(tmp_path).left_out.line("photos").isprintable()


def test_without_the_extra_heic_is_left_out_with_the_command(tmp_path: Path, without_heif: None) -> None:
    touch(tmp_path, "a.png", "b.png", "c.HEIC")
    line = Folder(tmp_path, SPEC).left_out.line("photos")
    assert "1 HEIC (c.HEIC)" in line
    assert "pip install 'edgekit[heif]'" in line


def test_heic_under_a_jpeg_s_name_is_told(tmp_path: Path, without_heif: None) -> None:
    (tmp_path / "IMG_1.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(InputError, match=r"IMG_1.jpg: is HEIC: run `pip install 'edgekit\[heif\]'`"):
        load_image(tmp_path / "IMG_1.jpg")


@heif
def test_heic_is_read_upright_and_in_colour(tmp_path: Path) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    corner = np.full((96, 160, 3), 90, np.uint8)
    corner[:32, :48] = (230, 30, 30)
    for orientation in (1, 3, 6, 8):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        path = tmp_path / f"{orientation}.HEIC"
        Image.fromarray(corner).save(path, "HEIF", quality=95, exif=exif.tobytes())
        jpeg = tmp_path / f"{orientation}.jpg"
        Image.fromarray(corner).save(jpeg, quality=95, exif=exif.tobytes())
        found, due = load_image(path), load_image(jpeg)
        assert found.shape == due.shape
        assert np.abs(found.astype(int) - due).mean() < 4
    assert len(list(Folder(tmp_path, SPEC))) == 8


@heif
def test_a_damaged_heic_is_one_line(tmp_path: Path) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    path = tmp_path / "cut.heic"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(path, "HEIF")
    whole = path.read_bytes()
    for length in (12, 64, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"^\S*cut.heic: cannot be decoded, "):
            load_image(path)


def test_avif_follows_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import features

    assert (".avif" in readable()) == features.check("avif")
    monkeypatch.setattr(features, "check", lambda name: False)
    image_files.readable.cache_clear()
    assert is_unread("photo.AVIF")
    assert is_unread("photo.webp")
    assert not is_unread("photo.jpg")


def test_over_half_that_cannot_be_decoded_is_an_error_too(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png")
    for name in ("c.jpg", "d.jpg"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xffnothing")
    assert len(list(Folder(tmp_path, SPEC))) == 2
    (tmp_path / "e.nef").touch()
    with pytest.raises(MostLeftOutError, match=r"3 of 5 images are left out or cannot be read; d.jpg: cannot be dec"):
        list(Folder(tmp_path, SPEC))


def test_every_command_on_a_folder_tells_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edgekit.bench.preprocessing import _sources
    from edgekit.data.datasets import pictures, tell_skipped
    from edgekit.parity.check import embed_original
    from edgekit.support.progress import Silent

    touch(tmp_path, "a.png", "b.png", "c.png", "x.nef")
    (tmp_path / "d.jpg").write_bytes(b"\xff\xd8\xffnothing")
    data = pictures(tmp_path, 2, SPEC, Silent())
    reference = embed_original(lambda images: np.ones((len(images), 4), np.float32), data)
    tell_skipped(data, Silent())
    assert reference.left_out.kinds == {"NEF": 1}
    assert reference.skipped == ("d.jpg",)
    _, left_out = _sources([tmp_path], tmp_path / "out", Silent())
    assert left_out.facts() == {"images": 1, "kinds": {"NEF": 1}, "first": [str(tmp_path / "x.nef")]}
    told = capsys.readouterr().err.splitlines()
    assert [line.count("1 NEF (x.nef)") for line in told] == [1, 0, 1]
    assert "1 of 4 images cannot be read: d.jpg: " in told[1]


def test_a_shard_s_samples_without_a_readable_image_are_named(tmp_path: Path) -> None:
    import io
    import tarfile

    from edgekit.distillation.sources.shards import ShardSource

    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(buffer, "PNG")
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name, data in (("1.png", buffer.getvalue()), ("2.cr2", b"raw"), ("3.json", b"{}")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    source = ShardSource("mine", str(tmp_path / "s.tar"), listing=None, labels={})
    assert len(source) == 1
    assert source.left_out.names == ("s.tar/2.cr2",)
