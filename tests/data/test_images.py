from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from edgekit.data import images
from edgekit.data.images import Folder, Picture, load_image, preprocess
from edgekit.errors import InputError, UsageError
from edgekit.recipe import InputSpec
from tests.waiting import PATIENCE

SPEC = InputSpec(size=(32, 32))
ORIENTATION = 0x0112


def encode(image: Image.Image, fmt: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def noise(width: int = 23, height: int = 17, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


PHOTO = noise()
PNG = encode(Image.fromarray(PHOTO), "PNG")
JPEG = encode(Image.fromarray(PHOTO), "JPEG")


# -- decoding ---------------------------------------------------------------------------------------------------------


def test_rgb_comes_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    for source in (PNG, tmp_path / "a.png", io.BytesIO(PNG)):
        array = load_image(source)
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous
        assert np.array_equal(array, PHOTO)


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(fmt: str, orientation: int) -> None:
    image = Image.fromarray(PHOTO)
    plain = encode(image, fmt, **({"quality": 90} if fmt in ("JPEG", "WEBP") else {}))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    turned = encode(image, fmt, exif=exif, **({"quality": 90} if fmt in ("JPEG", "WEBP") else {}))
    stored = Image.fromarray(load_image(plain))
    expected = ImageOps.exif_transpose(_with_orientation(stored, orientation))
    assert np.array_equal(load_image(turned), np.asarray(expected))


def _with_orientation(image: Image.Image, orientation: int) -> Image.Image:
    image.getexif()[ORIENTATION] = orientation
    return image


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_outside_the_standard_changes_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert np.array_equal(load_image(encode(Image.fromarray(PHOTO), "PNG", exif=exif)), PHOTO)


def test_a_damaged_exif_block_does_not_lose_the_photo() -> None:
    damaged = encode(Image.fromarray(PHOTO), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff\x00\x01")
    assert np.array_equal(load_image(damaged), load_image(JPEG))


def test_grey_and_bilevel_become_rgb() -> None:
    grey = PHOTO[:, :, 0]
    assert np.array_equal(load_image(encode(Image.fromarray(grey), "PNG")), np.stack([grey] * 3, axis=2))
    bilevel = grey > 127
    expected = np.stack([bilevel * np.uint8(255)] * 3, axis=2)
    assert np.array_equal(load_image(encode(Image.fromarray(bilevel), "PNG")), expected)


@pytest.mark.parametrize("fmt", ["JPEG", "TIFF"])
def test_cmyk_inks_become_their_colours(fmt: str) -> None:
    for ink, colour in {
        (0, 255, 255, 0): (255, 0, 0),
        (255, 0, 255, 0): (0, 255, 0),
        (0, 0, 0, 255): (0, 0, 0),
    }.items():
        array = load_image(encode(Image.new("CMYK", (16, 16), ink), fmt))
        assert np.abs(array.astype(int) - colour).max() <= 2


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    values = np.linspace(0, 65535, 256 * 4, dtype=np.uint16).reshape(4, 256)
    for fmt in ("PNG", "TIFF"):
        array = load_image(encode(Image.fromarray(values), fmt))
        assert np.array_equal(array[:, :, 0], np.round(values / 257.0).astype(np.uint8))
        assert (array == array[:, :, :1]).all()


def test_sixteen_bit_pgm_is_scaled_too() -> None:
    values = np.array([[0, 257, 32896, 65535]], dtype=">u2")
    assert load_image(b"P5 4 1 65535\n" + values.tobytes())[0, :, 0].tolist() == [0, 1, 128, 255]


def test_float_pixels_are_refused() -> None:
    with pytest.raises(InputError, match="no agreed range"):
        load_image(encode(Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)), "TIFF"))


def test_transparency_is_composited_on_white() -> None:
    rgba = Image.new("RGBA", (3, 1))
    rgba.putdata([(255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 128)])
    assert load_image(encode(rgba, "PNG"))[0].tolist() == [[255, 0, 0], [255, 255, 255], [127, 127, 127]]
    la = Image.new("LA", (2, 1))
    la.putdata([(0, 0), (10, 255)])
    assert load_image(encode(la, "PNG"))[0].tolist() == [[255] * 3, [10] * 3]
    palette = Image.new("P", (2, 1))
    palette.putpalette([200, 0, 0, 0, 0, 200])
    palette.putdata([0, 1])
    for fmt, key in (("PNG", 0), ("GIF", 0), ("PNG", bytes([0, 255]))):
        array = load_image(encode(palette, fmt, transparency=key))
        assert array[0].tolist() == [[255, 255, 255], [0, 0, 200]], fmt
    keyed = Image.new("RGB", (2, 1), (1, 2, 3))
    keyed.putpixel((1, 0), (9, 9, 9))
    assert load_image(encode(keyed, "PNG", transparency=(1, 2, 3)))[0].tolist() == [[255] * 3, [9] * 3]
    wide = Image.fromarray(np.array([[1000, 65535 // 2]], dtype=np.uint16))
    assert load_image(encode(wide, "PNG", transparency=1000))[0, :, 0].tolist() == [255, 127]


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    animated = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert load_image(animated)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_one_pixel_is_an_image(fmt: str) -> None:
    assert load_image(encode(Image.new("RGB", (1, 1), "white"), fmt)).tolist() == [[[255, 255, 255]]]
    assert preprocess(np.full((1, 1, 3), 7, np.uint8), SPEC).tolist() == np.full((32, 32, 3), 7).tolist()


@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]),
    fmt=st.sampled_from(["PNG", "TIFF", "JPEG", "GIF", "BMP", "WEBP"]),
    width=st.integers(1, 70),
    height=st.integers(1, 70),
)
@settings(max_examples=80, deadline=None)
def test_every_mode_and_size_gives_rgb(mode: str, fmt: str, width: int, height: int) -> None:
    source = Image.fromarray(noise(width, height, 4), "RGBA")
    image = source.convert("L").convert(mode) if mode == "I;16" else source.convert(mode)
    try:
        data = encode(image, fmt)
    except (OSError, ValueError):
        data = encode(image.convert("RGB"), fmt)
    array = load_image(data)
    assert array.shape == (height, width, 3)
    assert array.dtype == np.uint8


# -- bad input --------------------------------------------------------------------------------------------------------


def refused(source: Path | bytes, *words: str) -> str:
    with pytest.raises(InputError) as caught:
        load_image(source)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


def test_files_that_are_no_images_are_named(tmp_path: Path) -> None:
    for name, data, word in (
        ("empty.jpg", b"", "0 bytes"),
        ("text.png", b"hello, world" * 9, "known format"),
        ("short.jpg", JPEG[: len(JPEG) // 2], "decoded"),
        ("short.png", PNG[: len(PNG) // 2], "decoded"),
        ("header.png", PNG[:20], "header.png"),
        ("header.jpg", JPEG[:3], "header.jpg"),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        refused(path, name, word)
    refused(tmp_path / "absent.png", "absent.png", "No such file")
    refused(tmp_path, "is not a file")
    refused(b"", "0 bytes")


def test_a_hostile_name_cannot_break_the_line(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines\x1b[31m.png"
    path.write_bytes(b"nothing")
    assert "\x1b" not in refused(path, "two?lines?[31m.png")


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "is not a file")


@pytest.mark.parametrize("fmt", ["EPS", "PDF", "TGA", "PCX", "ICO", "ICNS"])
def test_formats_outside_the_list_are_not_opened(fmt: str) -> None:
    refused(encode(Image.new("RGB", (32, 32), "red"), fmt), "known format")


@given(
    st.sampled_from([b"", PNG[:33], JPEG[:20], b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 ", b"II*\0", b"BM", b"P6 "]), st.data()
)
@settings(max_examples=150, deadline=None)
def test_arbitrary_bytes_raise_nothing_but_input_error(start: bytes, data: st.DataObject) -> None:
    _image_or_input_error(start + data.draw(st.binary(max_size=200)))


@given(
    fmt=st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=6),
)
@settings(max_examples=200, deadline=None)
def test_flipped_bits_raise_nothing_but_input_error(fmt: str, flips: list[tuple[float, int]]) -> None:
    data = bytearray(encode(Image.fromarray(PHOTO), fmt))
    for where, mask in flips:
        data[int(where * len(data))] ^= mask
    _image_or_input_error(bytes(data))


def _image_or_input_error(data: bytes) -> None:
    try:
        array = load_image(data)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert array.dtype == np.uint8
        assert array.ndim == 3
        assert array.shape[2] == 3


def png_of(width: int, height: int) -> bytes:
    """A whole 8-bit grey PNG of zeros, built row by row."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg_of(width: int, height: int, start_of_frame: int = 0xC0) -> bytes:
    """A whole mid-grey baseline JPEG: every 8x8 block is the same six bits (DC difference 0, end of block)."""
    seed = encode(Image.new("L", (16, 16), 128), "JPEG")
    frame, scan = seed.index(b"\xff\xc0"), seed.index(b"\xff\xda")
    body = scan + 2 + int.from_bytes(seed[scan + 2 : scan + 4], "big")
    blocks = -(-width // 8) * -(-height // 8)
    shape = struct.pack(">HH", height, width)
    head = seed[:frame] + bytes([0xFF, start_of_frame]) + seed[frame + 2 : frame + 5] + shape + seed[frame + 9 : body]
    return head + b"\x28\xa2\x8a" * -(-blocks // 4) + b"\xff\xd9"


def test_20000_pixels_a_side_stay_within_memory(tmp_path: Path) -> None:
    (tmp_path / "big.jpg").write_bytes(jpeg_of(20_000, 20_000))
    (tmp_path / "progressive.jpg").write_bytes(jpeg_of(20_000, 20_000, start_of_frame=0xC2))
    (tmp_path / "big.png").write_bytes(png_of(20_000, 20_000))
    (tmp_path / "strip.png").write_bytes(png_of(20_000, 1))
    script = """
        import resource
        from pathlib import Path
        from types import SimpleNamespace
        from edgekit.errors import InputError
        from edgekit.data.images import load_image, preprocess

        image = load_image(Path("big.jpg"))
        assert image.shape == (5000, 5000, 3) and (image == 128).all()
        for name in ("big.png", "progressive.jpg"):
            try:
                load_image(Path(name))
            except InputError as error:
                assert name in str(error) and "89478485" in str(error), error
            else:
                raise AssertionError(name)
        strip = load_image(Path("strip.png"))
        spec = SimpleNamespace(
            size=(224, 224), mean=(0.5,) * 3, interpolation="bicubic", crop_pct=0.875, crop_mode="center"
        )
        for image in (strip, strip.transpose(1, 0, 2)):
            assert preprocess(image, spec).shape == (224, 224, 3)
        # On Linux ru_maxrss starts from what the process that forked this one held; VmHWM is this program's own.
        status = Path("/proc/self/status")
        if status.exists():
            print(1024 * int(status.read_text().split("VmHWM:")[1].split()[0]))
        else:
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(images.__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 600 * 2**20


def test_a_small_file_that_declares_a_huge_image_is_refused() -> None:
    for width, height in ((10_000, 10_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)):
        head = png_of(1, 1)
        bomb = head[:16] + struct.pack(">II", width, height) + head[24:29]
        bomb += struct.pack(">I", zlib.crc32(bomb[12:29])) + head[33:]
        refused(bomb, "89478485")


def test_large_jpegs_are_reduced_but_buffered_ones_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = Image.fromarray(noise(64, 64))
    monkeypatch.setattr(images, "MAX_PIXELS", 1024)
    assert load_image(encode(photo, "JPEG")).shape == (32, 32, 3)
    assert load_image(encode(photo.convert("L"), "JPEG")).shape == (32, 32, 3)
    refused(encode(photo, "JPEG", progressive=True), "1024")
    refused(encode(photo, "PNG"), "1024")
    interleaved = encode(photo, "JPEG")
    scan = interleaved.index(b"\xff\xda")
    one_component = interleaved[:scan] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + interleaved[scan + 14 :]
    refused(one_component, "1024")
    monkeypatch.setattr(images, "MAX_JPEG_PIXELS", 4095)
    refused(interleaved, "4095")


def test_max_side_never_goes_below_what_is_asked() -> None:
    data = encode(Image.fromarray(noise(640, 400)), "JPEG")
    assert load_image(data).shape == (400, 640, 3)
    assert load_image(data, max_side=400).shape == (400, 640, 3)
    assert load_image(data, max_side=200).shape == (200, 320, 3)
    assert load_image(data, max_side=30).shape == (50, 80, 3)
    assert load_image(PNG, max_side=1).shape == PHOTO.shape


# -- geometry ---------------------------------------------------------------------------------------------------------


def timm_eval(image: np.ndarray, spec: InputSpec) -> np.ndarray:
    from timm.data import create_transform

    transform = create_transform(
        input_size=(3, *spec.size),
        interpolation=spec.interpolation,
        mean=spec.mean,
        crop_pct=spec.crop_pct,
        crop_mode=spec.crop_mode,
        normalize=False,
    )
    return transform(Image.fromarray(image)).permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    from sklearn.datasets import load_sample_images

    return [np.ascontiguousarray(image) for image in load_sample_images().images]


@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "nearest", "lanczos"])
@pytest.mark.parametrize("size", [(224, 224), (256, 192), (160, 288)])
def test_real_photographs_come_out_as_from_timm(
    photographs: list[np.ndarray], crop_mode: str, interpolation: str, size: tuple[int, int]
) -> None:
    for photo in photographs:
        for crop_pct in (0.875, 0.95, 1.0):
            for image in (photo, photo[:, :300]):
                spec = InputSpec(size=size, crop_mode=crop_mode, interpolation=interpolation, crop_pct=crop_pct)
                assert np.array_equal(preprocess(image, spec), timm_eval(image, spec))


@given(
    width=st.integers(24, 300),
    height=st.integers(24, 300),
    size=st.tuples(st.integers(8, 96), st.integers(8, 96)),
    crop_pct=st.floats(0.3, 1.0),
    crop_mode=st.sampled_from(["center", "squash", "border"]),
    interpolation=st.sampled_from(["bicubic", "bilinear", "nearest", "lanczos", "box", "hamming"]),
)
@settings(max_examples=60, deadline=None)
def test_any_size_comes_out_as_from_timm(
    width: int, height: int, size: tuple[int, int], crop_pct: float, crop_mode: str, interpolation: str
) -> None:
    image = noise(width, height)
    spec = InputSpec(size=size, crop_pct=crop_pct, crop_mode=crop_mode, interpolation=interpolation)
    assert np.array_equal(preprocess(image, spec), timm_eval(image, spec))


def test_the_one_step_crop_agrees_with_the_two_step_one(monkeypatch: pytest.MonkeyPatch) -> None:
    image = noise(40, 900)
    expected = preprocess(image, SPEC)
    monkeypatch.setattr(images, "MAX_PIXELS", 1)
    assert np.abs(preprocess(image, SPEC).astype(int) - expected).max() <= 1


def test_wrong_arrays_and_unknown_filters_are_refused() -> None:
    for wrong in (PHOTO.astype(np.float32), PHOTO[:, :, 0], PHOTO[:, :, :2], PHOTO[:0]):
        with pytest.raises(InputError, match="uint8"):
            preprocess(wrong, SPEC)
    with pytest.raises(UsageError, match="'cubic'"):
        preprocess(PHOTO, SPEC.model_copy(update={"interpolation": "cubic"}))


# -- folders ----------------------------------------------------------------------------------------------------------


def grow(root: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(seed=seed)).save(root / name)
    return root


def test_a_folder_streams_in_sorted_order_with_labels(tmp_path: Path) -> None:
    folder = Folder(grow(tmp_path, "b/2.PNG", "b/deep/1.png", "a/9.png", "flat.jpg"), SPEC)
    pictures = list(folder)
    assert [(p.name, p.label) for p in pictures] == [
        ("a/9.png", "a"),
        ("b/2.PNG", "b"),
        ("b/deep/1.png", "b"),
        ("flat.jpg", None),
    ]
    assert isinstance(pictures[0], Picture)
    assert all(p.image.shape == (32, 32, 3) for p in pictures)
    assert len(folder) == 4
    assert folder.skipped == []


def test_damaged_files_are_skipped_by_name_and_counted_again_each_time(tmp_path: Path) -> None:
    grow(tmp_path, "good.png")
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xffnothing")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "._good.png").write_bytes(b"AppleDouble")
    folder = Folder(tmp_path, SPEC)
    for _ in range(2):
        assert [p.name for p in folder] == ["good.png"]
        assert [name for name, _ in folder.skipped] == ["bad.jpg"]
    assert len(folder) == 2
    assert not folder.skipped[0][1].startswith("bad.jpg")


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = grow(tmp_path / "outside", "secret.png", "more/secret.png")
    inside = grow(tmp_path / "inside", "own.png")
    (inside / "link.png").symlink_to(outside / "secret.png")
    (inside / "again.png").symlink_to(inside / "own.png")
    (inside / "folder").symlink_to(outside / "more")
    (inside / "loop").symlink_to(inside)
    folder = Folder(inside, SPEC)
    assert [p.name for p in folder] == ["again.png", "own.png"]
    assert folder.skipped == [("link.png", "a link that leaves the folder")]


def test_folders_without_a_usable_image_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", grow(tmp_path, "file.png") / "file.png"):
        with pytest.raises(InputError, match="no such folder"):
            Folder(path, SPEC)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no image"):
        Folder(empty, SPEC)
    for name in ("a.png", "b.png"):
        (empty / name).write_bytes(b"x")
    folder = Folder(empty, SPEC)
    with pytest.raises(InputError, match=r"none of 2 images.*b\.png"):
        list(folder)
    assert len(folder.skipped) == 2


def test_the_digest_follows_names_and_bytes_only(tmp_path: Path) -> None:
    first = Folder(grow(tmp_path / "first", "a/1.png", "b/2.png"), SPEC)
    second = Folder(grow(tmp_path / "second", "a/1.png", "b/2.png"), InputSpec(size=(64, 64)))
    assert first.digest() == second.digest()
    assert len(first.digest()) == 64
    (tmp_path / "second/a/1.png").rename(tmp_path / "second/a/3.png")
    renamed = Folder(tmp_path / "second", SPEC).digest()
    assert renamed != first.digest()
    with (tmp_path / "first/b/2.png").open("ab") as stream:
        stream.write(b"\0")
    assert Folder(tmp_path / "first", SPEC).digest() not in (renamed, second)
