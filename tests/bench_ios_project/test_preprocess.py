"""The reference preprocessing in Swift: equal to Python's, bit for bit, from the same decoded pixels."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.data import images
from edgekit.recipe import InputSpec
from tests.conftest import TOWER

from .harness import Core, facts, linear

pytestmark = pytest.mark.toolchain

FILTERS = ("bicubic", "bilinear", "nearest", "lanczos", "box", "hamming")
MODES = ("center", "squash", "border")
SHAPES = [(1, 1), (1, 97), (64, 64), (73, 57), (57, 73), (200, 3), (331, 217), (40, 641), (224, 224), (255, 257)]
SIZES = [(64, 64), (33, 33), (48, 80), (81, 31), (8, 11), (224, 224)]


def photo(shape: tuple[int, int], seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    if seed % 3 == 0:  # hard edges, where filters overshoot
        return np.repeat(random.integers(0, 2, (*shape, 1), dtype=np.uint8) * 255, 3, axis=2)
    return random.integers(0, 256, (*shape, 3), dtype=np.uint8)


def prepared(core: Core, cases: list[tuple[np.ndarray, int, InputSpec]]) -> list[np.ndarray]:
    """What Swift makes of each."""
    folder = core.swift.folder("cases-")
    listed: list[dict[str, Any]] = []
    for index, (image, orientation, spec) in enumerate(cases):
        image.tofile(folder / f"{index}.rgb")
        fill = [round(255 * v) for v in spec.mean] if spec.crop_mode == "border" else [0, 0, 0]
        listed.append(
            {
                "height": image.shape[0],
                "width": image.shape[1],
                "orientation": orientation,
                "out_height": spec.size[0],
                "out_width": spec.size[1],
                "interpolation": spec.interpolation,
                "crop_pct": spec.crop_pct,
                "crop_mode": spec.crop_mode,
                "fill": fill,
            }
        )
    (folder / "cases.json").write_text(json.dumps(listed))
    done = core("preprocess", folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [
        np.fromfile(folder / f"{index}.out", np.uint8).reshape(*spec.size, 3)
        for index, (_, _, spec) in enumerate(cases)
    ]


def equal(core: Core, cases: list[tuple[np.ndarray, int, InputSpec]]) -> int:
    """How many were compared; all are equal."""
    for (image, orientation, spec), found in zip(cases, prepared(core, cases), strict=True):
        due = images.preprocess(images._upright(image, orientation), spec)
        assert np.array_equal(found, due), (image.shape, orientation, spec, int((found != due).sum()))
    return len(cases)


def spec(**given: Any) -> InputSpec:
    return InputSpec(**{"mean": (0.481, 0.457, 0.408), **given})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("interpolation", FILTERS)
def test_equal_to_python(core: Core, interpolation: str, mode: str) -> None:
    cases = []
    for seed, (shape, size, crop) in enumerate(itertools.product(SHAPES, SIZES, (0.875, 1.0, 0.35, 1.3))):
        if min(size) / crop >= 1:
            one = spec(size=size, crop_pct=crop, crop_mode=mode, interpolation=interpolation)
            cases.append((photo(shape, seed), 1, one))
    assert equal(core, cases) >= 200


def test_every_orientation(core: Core) -> None:
    cases = [
        (photo(shape, 1), orientation, spec(size=(40, 52), interpolation=filter, crop_mode=mode))
        for shape in ((61, 83), (90, 41), (1, 9))
        for orientation in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
        for filter, mode in (("bicubic", "center"), ("nearest", "border"))
    ]
    assert equal(core, cases) == 60


def test_sizes_that_round_half_to_even(core: Core) -> None:
    cases = [
        (photo((height, width), height * width), 1, spec(size=size, crop_pct=1.0, crop_mode=mode))
        for height, width in itertools.product((3, 5, 7, 10, 25, 50), (2, 4, 6, 11, 35, 45))
        for size, mode in (((20, 14), "center"), ((14, 20), "border"), ((21, 21), "center"), ((9, 10), "squash"))
    ]
    assert equal(core, cases) == 144


def test_the_order_of_the_passes(core: Core) -> None:
    """Pillow goes down first where the height loses more than twice what the width does: not at just twice."""
    cases = [
        (photo((height, width), 3), 1, spec(size=(20, 20), crop_pct=1.0, crop_mode="squash"))
        for height, width in ((39, 30), (40, 30), (41, 30), (40, 29), (40, 31), (30, 40), (22, 21), (21, 20), (20, 25))
    ]
    assert equal(core, cases) == 9


@pytest.mark.parametrize("interpolation", FILTERS)
def test_strips_are_cropped_while_they_are_scaled(core: Core, interpolation: str) -> None:
    one = spec(size=(70, 70), crop_pct=1.0, interpolation=interpolation)
    assert one.size[0] * one.size[0] * 20_000 > images.MAX_PIXELS
    assert equal(core, [(photo((1, 20_000), 2), 1, one), (photo((20_000, 1), 4), 1, one)]) == 2


def test_a_crop_that_leaves_nothing_is_refused(core: Core) -> None:
    one = spec().model_copy(update={"size": (1, 1), "crop_pct": 2.0})
    with pytest.raises(AssertionError, match="leave no pixel"):
        prepared(core, [(photo((9, 9), 1), 1, one)])


def encoded(kind: str, orientation: object, *, endian: str = "<", **more: Any) -> bytes:
    """A file of 6 x 4 pixels with that orientation in its EXIF block."""
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F] = "a maker"
    if orientation is not None:
        exif[0x0112] = orientation
    exif[0x9003] = "2024:01:01 00:00:00"
    stream = io.BytesIO()
    Image.fromarray(photo((4, 6), 1)).save(stream, kind, exif=exif.tobytes() if orientation is not ... else b"", **more)
    return stream.getvalue()


def orientations(core: Core, files: list[bytes]) -> list[int]:
    folder = core.swift.folder("files-")
    for index, content in enumerate(files):
        (folder / str(index)).write_bytes(content)
    done = core("orientation", folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    found = [int(line) for line in done.stdout.split()]
    assert len(found) == len(files)
    return found


def by_pillow(content: bytes) -> int:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return images._orientation(image)


def test_orientation_of_real_files(core: Core) -> None:
    files = [
        encoded(kind, orientation, endian=endian, **more)
        for kind, more in (("JPEG", {}), ("JPEG", {"icc_profile": b"x" * 70_000}), ("PNG", {}))
        for endian in "<>"
        for orientation in (1, 2, 3, 4, 5, 6, 7, 8, None)
    ]
    due = [by_pillow(content) for content in files]
    assert sorted(set(due)) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert orientations(core, files) == due
    plain = [encoded(kind, ...) for kind in ("JPEG", "PNG", "WEBP", "GIF")]
    assert orientations(core, plain) == [1] * 4


def tiff(kind: int, count: int, value: bytes, *, entries: int = 1, at: int = 8, head: bytes = b"II*\0") -> bytes:
    """A JPEG file that is little else than an EXIF block."""
    block = head + struct.pack("<I", at) + struct.pack("<HHHI", entries, 0x0112, kind, count) + value
    segment = b"Exif\0\0" + block
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + b"\xff\xd9"


def test_orientation_of_odd_blocks(core: Core) -> None:
    six = struct.pack("<HH", 6, 0)
    odd = [
        (tiff(3, 1, six), 6),
        (tiff(4, 1, struct.pack("<I", 6)), 6),
        (tiff(1, 1, b"\x06\0\0\0"), 6),
        (tiff(3, 2, six), 1),
        (tiff(2, 1, six), 1),
        (tiff(99, 1, six), 1),
        (tiff(3, 1, struct.pack("<HH", 9, 0)), 1),
        (tiff(3, 1, struct.pack("<HH", 0, 0)), 1),
        (tiff(3, 1, b""), 1),
        (tiff(3, 1, six, at=2**32 - 1), 1),
        (tiff(3, 1, six, at=0), 1),
        (tiff(3, 1, six, entries=65535), 6),
        (tiff(3, 1, six, head=b"XX*\0"), 1),
        (b"\xff\xd8\xff" + b"\xff" * 50 + tiff(3, 1, six)[3:], 6),
        (b"\xff\xd8\xff\xe1\xff\xff", 1),
        (b"\xff\xd8\xff\xe1\x00\x00", 1),
        (b"\xff\xd8\xff", 1),
        (b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffeXIf", 1),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\x00eXIf\0\0\0\0", 1),
        (b"", 1),
    ]
    assert orientations(core, [content for content, _ in odd]) == [due for _, due in odd]


def test_hostile_bytes_end_no_run(core: Core) -> None:
    random = np.random.default_rng(11)
    whole = [encoded(kind, 6, endian=endian) for kind in ("JPEG", "PNG") for endian in "<>"]
    files = [random.bytes(size) for size in range(0, 200, 7)]
    files += [
        start + random.bytes(80)
        for start in (b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1\0\x50Exif\0\0")
    ]
    for index in range(1500):
        damaged = bytearray(whole[index % 4])
        for _ in range(random.integers(1, 6)):
            damaged[random.integers(min(len(damaged), 200))] = random.integers(256)
        files.append(bytes(damaged[: random.integers(4, len(damaged))]) if index % 3 == 0 else bytes(damaged))
    found = orientations(core, files)
    assert set(found) <= set(range(1, 9)) and {1, 6} <= set(found)


def lying(file: Path) -> None:
    """Put the decoded pixels beside a photo, as they are stored in it."""
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB"))
    sizes = struct.pack("<II", pixels.shape[1], pixels.shape[0])
    file.with_name(f"{file.name}.rgb").write_bytes(sizes + pixels.tobytes())


def golden_folder(core: Core, **changes: Any) -> Path:
    """Photos in every orientation, with Python's pixels and the embeddings of swift/main.swift's model."""
    folder = core.swift.folder("golden-")
    (folder / "photos").mkdir()
    one = spec(size=(12, 16), crop_pct=0.9)
    items, ready = [], []
    for index, (kind, orientation) in enumerate([*(("JPEG", turn) for turn in range(1, 9)), ("PNG", 6)]):
        content = encoded(kind, orientation)
        name = f"photos/{index:03}-{orientation}.{kind.lower()}"
        (folder / name).write_bytes(content)
        lying(folder / name)
        items.append({"file": name, "orientation": orientation, "sha256": str(len(content))})
        ready.append(images.preprocess(images.load_image(content), one))
    document: dict[str, Any] = {
        "schema": "edgekit.golden/1",
        "model": facts(),
        "preprocessing": {
            "height": 12,
            "width": 16,
            "interpolation": "bicubic",
            "crop_pct": 0.9,
            "crop_mode": "center",
            "fill": [0, 0, 0],
        },
        "dim": 9,
        "items": items,
    }
    np.stack(ready).tofile(folder / "inputs.bin")
    linear(np.stack(ready), 9).tofile(folder / "golden.bin")
    (folder / "golden.json").write_text(json.dumps(document | changes))
    return folder


def test_golden_photos_are_equal_from_file_to_embedding(core: Core) -> None:
    done = core("golden", golden_folder(core))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    found = json.loads(done.stdout)
    assert len(found) == 9
    for item in found:
        assert (item["orientation_found"], item["pixels_max_abs"], item["pixels_equal"]) == (True, 0, 1), item
        assert item["cosine_same_pixels"] == pytest.approx(1, abs=1e-6)
        assert item["cosine_own_pixels"] == item["cosine_same_pixels"]


def test_a_golden_folder_shows_what_differs(core: Core) -> None:
    folder = golden_folder(core)
    inputs = np.fromfile(folder / "inputs.bin", np.uint8)
    changed = inputs.copy()
    changed[0] ^= 0x80
    changed.tofile(folder / "inputs.bin")
    first = json.loads(core("golden", folder).stdout)[0]
    assert first["pixels_max_abs"] == 128 and 0.99 < first["pixels_equal"] < 1
    assert first["cosine_same_pixels"] < first["cosine_own_pixels"]
    inputs.tofile(folder / "inputs.bin")
    wrong = core("golden", folder, "not-a-number")
    assert wrong.returncode == 3 and wrong.stderr == "core: the embeddings differ: test\n"

    document = json.loads((folder / "golden.json").read_text())
    document["items"][3]["orientation"] = 5
    (folder / "golden.json").write_text(json.dumps(document))
    turned = core("golden", folder)
    assert turned.returncode == 3 and json.loads(turned.stdout)[3]["orientation_found"] is False


def test_a_golden_folder_that_python_wrote(core: Core, invoke: Callable[..., Any], tmp_path: Path) -> None:
    made = invoke("export", *TOWER, "--target", "onnx", "--samples", 24, "--out", tmp_path / "tower", "--quiet")
    assert made.exit_code == 0, made.output
    (model,) = (tmp_path / "tower").glob("**/*.onnx")
    Image.fromarray(photo((300, 431), 1)).save(tmp_path / "photo.png")
    made = invoke("golden", "make", model.parent, tmp_path / "photo.png", "--out", tmp_path / "golden", "--quiet")
    assert made.exit_code == 0, made.output
    folder = core.swift.folder("golden-")
    shutil.copytree(tmp_path / "golden", folder, dirs_exist_ok=True)

    document = json.loads((folder / "golden.json").read_text())
    for item in document["items"]:
        content = (folder / item["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == item["sha256"]
        item["sha256"] = str(len(content))  # what swift/main.swift takes for a digest
        lying(folder / item["file"])
    (folder / "golden.json").write_text(json.dumps(document))
    size = (document["preprocessing"]["height"], document["preprocessing"]["width"])
    ready = np.fromfile(folder / "inputs.bin", np.uint8).reshape(len(document["items"]), *size, 3)
    linear(ready, document["dim"]).tofile(folder / "golden.bin")

    done = core("golden", folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    found = json.loads(done.stdout)
    assert len(found) == 10
    assert {(item["orientation_found"], item["pixels_max_abs"]) for item in found} == {(True, 0)}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"schema": "edgekit.golden/2"}, "schema is not edgekit.golden/1"),
        ({"dim": 0}, "'dim'"),
        ({"dim": 8}, "golden.bin"),
        ({"model": None}, "'model'"),
        ({"items": []}, "'items'"),
        ({"items": [{"file": "x", "orientation": 9, "sha256": "1"}]}, "'items[0]'"),
        ({"items": [{"file": "../x", "orientation": 1, "sha256": "1"}]}, "inputs.bin"),
        ({"preprocessing": {}}, "preprocessing.interpolation"),
    ],
)
def test_hostile_golden_folders_are_refused_in_one_line(core: Core, changes: dict[str, Any], told: str) -> None:
    done = core("golden", golden_folder(core, **changes))
    assert (done.returncode, done.stdout) == (2, ""), done
    assert told in done.stderr and len(done.stderr.splitlines()) == 1


def test_photos_that_are_not_the_listed_ones_are_refused(core: Core) -> None:
    folder = golden_folder(core)
    document = json.loads((folder / "golden.json").read_text())
    for change, told in (({"sha256": "1"}, "its sha256 is not the one listed"), ({"file": "../x.jpg"}, "without '..'")):
        first = [document["items"][0] | change]
        (folder / "golden.json").write_text(json.dumps(document | {"items": first + document["items"][1:]}))
        done = core("golden", folder)
        assert done.returncode == 2 and told in done.stderr and len(done.stderr.splitlines()) == 1
