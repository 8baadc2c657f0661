"""Preprocessing in Kotlin against Python's: equal on the same pixels, near on what another JPEG decoder gives."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.recipe import InputSpec

from ..bench_native.harness import golden_of
from .harness import Core, golden_folder

pytestmark = pytest.mark.toolchain

FILTERS = ("bicubic", "bilinear", "nearest", "lanczos", "box", "hamming")
MODES = ("center", "squash", "border")
MEAN = (0.1, 0.5, 0.9)
ORIENTATION = 0x0112
MOST_LEVELS = 2  # of 0-255, between two JPEG decoders, after scaling


def encode(pixels: np.ndarray | Image.Image, fmt: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pngs(sizes: list[tuple[int, int]], seed: int = 0) -> dict[str, bytes]:
    """Half noise, half hard edges, whose overshoot must be cut off at 0 and 255."""
    files = {}
    for number, (height, width) in enumerate(sizes):
        pixels = noise(height, width, seed + number)
        files[f"{number}.png"] = encode(pixels if number % 2 else np.where(pixels < 128, 0, 255).astype(np.uint8))
    return files


def assert_equal(core: Core, root: Path, cases: list[tuple[InputSpec, dict[str, bytes]]]) -> int:
    """Every case must come out of Kotlin as it comes out of Python; how many images that were."""
    folders = [root / str(number) for number in range(len(cases))]
    wanted = [golden_folder(folder, spec, files) for folder, (spec, files) in zip(folders, cases, strict=True)]
    for (spec, _), images, found in zip(cases, wanted, core.preprocess(folders), strict=True):
        differing = np.flatnonzero((images != found.reshape(images.shape)).any(axis=(1, 2, 3)))
        assert differing.size == 0, f"{spec}: images {differing.tolist()} differ"
    return sum(map(len, wanted))


def test_every_filter_and_crop_mode_is_equal_to_pillow(core: Core, tmp_path: Path) -> None:
    sizes = [(37, 53), (53, 37), (224, 224), (1, 1), (3, 200), (200, 3), (45, 45), (31, 301)]
    files = pngs(sizes)
    cases = [
        (InputSpec(size=size, interpolation=filter_, crop_mode=mode, crop_pct=crop, mean=MEAN), files)
        for filter_, mode, (size, crop) in itertools.product(
            FILTERS, MODES, [((48, 48), 0.875), ((33, 45), 0.95), ((45, 32), 1.0), ((29, 29), 1.6)]
        )
    ]
    assert assert_equal(core, tmp_path, cases) == 6 * 3 * 4 * 8


def test_arbitrary_sizes_are_equal_to_pillow(core: Core, tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    cases = []
    for number in range(150):
        height, width = (int(side) for side in random.integers(8, 90, 2))
        spec = InputSpec(
            size=(height, height if random.random() < 0.5 else width),
            interpolation=str(random.choice(FILTERS)),
            crop_mode=str(random.choice(MODES)),
            crop_pct=float(random.choice([0.875, 0.9, 1.0, float(random.uniform(0.1, 2))])),
            mean=tuple(random.random(3)),
        )
        sizes = [(int(h), int(w)) for h, w in random.integers(1, 160, (4, 2))]
        cases.append((spec, pngs(sizes, seed=10 * number)))
    assert assert_equal(core, tmp_path, cases) == 600


def test_photographs_of_ordinary_size_are_equal_to_pillow(core: Core, tmp_path: Path) -> None:
    photos = {name: encode(pixels) for name, pixels in camera_photos().items()}
    photos |= {"large.png": encode(noise(1111, 1503), compress_level=0), "tall.png": encode(noise(900, 400))}
    specs = [InputSpec(interpolation=name) for name in FILTERS]
    specs += [InputSpec(size=(256, 192), crop_mode=mode) for mode in MODES]
    assert assert_equal(core, tmp_path, [(spec, photos) for spec in specs]) == 9 * 4


def test_strips_whose_scaled_image_is_not_made_are_equal_to_pillow(core: Core, tmp_path: Path) -> None:
    strips = pngs([(1, 20_001), (20_001, 1), (3, 30_000), (2, 25_000)])
    spec = InputSpec(size=(96, 96), crop_pct=0.9)
    assert 106 * 106 * 20_001 > 89_478_485  # pixels of the first, scaled
    assert_equal(core, tmp_path, [(spec.model_copy(update={"interpolation": name}), strips) for name in FILTERS])


def test_orientations_of_png_are_equal(core: Core, tmp_path: Path) -> None:
    files = {}
    for orientation in range(10):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        files[f"{orientation}.png"] = encode(noise(23, 41), exif=exif)
    images = golden_folder(tmp_path / "case", InputSpec(size=(32, 32), crop_mode="squash", crop_pct=1), files)
    assert len({image.tobytes() for image in images}) == 8
    (found,) = core.preprocess([tmp_path / "case"])
    assert np.array_equal(found.reshape(images.shape), images)


def test_kinds_of_png_are_decoded_alike(core: Core, tmp_path: Path) -> None:
    rgba = np.dstack([noise(20, 30), noise(20, 30, 1)[:, :, 0]])
    grey = Image.fromarray(noise(20, 30)[:, :, 0])
    files = {
        "grey.png": encode(grey),
        "grey-alpha.png": encode(Image.merge("LA", [grey, Image.fromarray(rgba[:, :, 3])])),
        "alpha.png": encode(rgba),
        "palette.png": encode(Image.fromarray(noise(20, 30)).quantize(17)),
        "profile.png": encode(noise(20, 30), icc_profile=_wide_profile()),
        "gamma.png": _with_gamma(encode(noise(20, 30))),
    }
    assert_equal(core, tmp_path, [(InputSpec(size=(16, 16)), files)])


def _wide_profile() -> bytes:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    return profile


def _with_gamma(png: bytes) -> bytes:
    chunk = b"gAMA" + struct.pack(">I", 100_000)
    header = png.index(b"IDAT") - 4
    return png[:header] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[header:]


def camera_photos() -> dict[str, np.ndarray]:
    from sklearn.datasets import load_sample_images

    loaded = load_sample_images()
    return {Path(name).stem: np.asarray(pixels) for name, pixels in zip(loaded.filenames, loaded.images, strict=True)}


QUALITIES = {"444": {"quality": 92, "subsampling": 0}, "422": {"quality": 90, "subsampling": 1}, "420": {"quality": 85}}
PROGRESSIVE = {"progressive": {"quality": 85, "progressive": True}}


@pytest.mark.parametrize("options", QUALITIES | PROGRESSIVE)
def test_jpeg_photographs_differ_by_what_the_decoders_differ(
    core: Core, tmp_path: Path, tower_file: Path, options: str
) -> None:
    files = {}
    for (name, pixels), orientation in itertools.product(camera_photos().items(), range(1, 9)):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        files[f"{name}-{orientation}.jpg"] = encode(pixels, "JPEG", exif=exif, **(QUALITIES | PROGRESSIVE)[options])
    wanted = golden_folder(tmp_path / "case", InputSpec(size=(64, 64)), files)
    (found,) = core.preprocess([tmp_path / "case"])
    found = found.reshape(wanted.shape)
    assert len({image.tobytes() for image in found}) == 16

    levels = np.abs(found.astype(int) - wanted)
    one, other = golden_of(tower_file, found), golden_of(tower_file, wanted)
    cosine = (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    print(f"{options}: levels max {levels.max()} mean {levels.mean():.4f}, cosine min {cosine.min():.7f}")
    assert levels.max() <= MOST_LEVELS and levels.mean() < 0.1
    assert cosine.min() > 0.99999


def test_golden_folders_that_are_wrong_are_told_in_one_line(core: Core, tmp_path: Path) -> None:
    golden_folder(tmp_path / "case", InputSpec(size=(16, 16)), {"a.png": encode(noise(9, 9))})
    (tmp_path / "outside.png").write_bytes(encode(noise(9, 9)))
    file, out = tmp_path / "case" / "golden.json", tmp_path / "out.bin"
    whole = file.read_text()
    for old, new, told in [
        ("edgekit.golden/1", "edgekit.golden/2", "schema"),
        ("photos/a.png", "../outside.png", "../outside.png"),
        ("photos/a.png", "photos/gone.png", "photos/gone.png"),
        ("bicubic", "cubic", "interpolation cubic"),
        ('"height": 16', '"height": 0', "size 0 x 16"),
        ('"items"', '"things"', "items"),
    ]:
        file.write_text(whole.replace(old, new))
        assert told in core.refused("preprocess", tmp_path / "case", out)
    file.write_text(whole)
    (tmp_path / "case" / "photos" / "a.png").write_bytes(encode(noise(9, 9))[:-40])
    assert "photos/a.png" in core.refused("preprocess", tmp_path / "case", out)
    assert not out.exists()
