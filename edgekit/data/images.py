"""Photographs from files: decode anything a phone or a shop sends, then crop and scale as timm does at evaluation.

Colour profiles (ICC) are ignored, as timm, torchvision and the training pipelines built on them ignore them.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import importlib
import io
import math
import os
import stat
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from edgekit.data.image_files import LeftOut, MostLeftOutError, readable, scan
from edgekit.errors import InputError, UsageError
from edgekit.recipe import InputSpec
from edgekit.support.text import reason_of, shown

__all__ = ["MAX_FILE_BYTES", "MAX_JPEG_PIXELS", "MAX_PIXELS", "Folder", "Picture", "load_image", "preprocess"]

FORMATS = {  # Pillow's name of each, and of its plugin
    "AVIF": "Avif",
    "BMP": "Bmp",
    "GIF": "Gif",
    "JPEG": "Jpeg",
    "PNG": "Png",
    "PPM": "Ppm",
    "TIFF": "Tiff",
    "WEBP": "WebP",
}
# Major brands of the ISO media files that hold HEVC pictures (ISO/IEC 23008-12, annex B; mif1 also begins AVIF files).
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1")
MAX_PIXELS = 89_478_485  # decoded; Pillow's own warning level. One such image peaks at 0.9 to 1.6 GiB.
MAX_JPEG_PIXELS = 500_000_000  # in the header; a JPEG can be decoded at 1/2, 1/4 or 1/8 of its size
MAX_FILE_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Picture:
    """One image of a data set: `image` is uint8 [H,W,3] RGB, `label` its class or None."""

    name: str
    label: str | None
    image: np.ndarray


def load_image(source: Path | bytes | BinaryIO, *, max_side: int | None = None, name: str | None = None) -> np.ndarray:
    """Decode one image to uint8 [H,W,3] RGB, upright by its EXIF orientation, transparency composited on white.

    16-bit greyscale is scaled to 8 bits. Of an animation, the first frame is taken. `max_side` (pixels) lets a JPEG be
    decoded at 1/2, 1/4 or 1/8 of its size as long as neither side falls below it; without it only a JPEG above
    MAX_PIXELS is reduced. Other formats above MAX_PIXELS are refused from their header, before decoding.
    Raises InputError, one line that starts with `name` (by default the file's), for anything that is not such an image.
    """
    name = shown(name or _name_of(source))
    try:
        with _open(source) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(stream, max_side)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except Exception as error:  # Pillow's plugins raise nearly every built-in type on hostile bytes
        reason = reason_of(error)
        if isinstance(error, SyntaxError):
            reason = "its header is damaged"
        if isinstance(error, UnidentifiedImageError):
            reason = f"not an image in a known format ({', '.join(FORMATS)})"
        if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
            reason = f"more pixels than the {MAX_PIXELS} allowed"
        raise InputError(f"{name}: cannot be decoded, {reason}; replace or remove the file") from None


def _name_of(source: Path | bytes | BinaryIO) -> str:
    if isinstance(source, bytes):
        return "<bytes>"
    return str(source) if isinstance(source, str | Path) else str(getattr(source, "name", "<stream>"))


def _open(source: Path | bytes | BinaryIO) -> BinaryIO:
    if isinstance(source, str | Path):
        try:
            info = os.stat(source)
        except (OSError, ValueError) as error:
            raise InputError(f"cannot be opened ({getattr(error, 'strerror', None) or error})") from None
        if not stat.S_ISREG(info.st_mode):
            raise InputError("is not a file")
        if info.st_size == 0:
            raise InputError("the file has 0 bytes")
        if info.st_size > MAX_FILE_BYTES:
            raise InputError(f"the file has {info.st_size} bytes, more than the {MAX_FILE_BYTES} allowed for one image")
        return open(source, "rb")
    data = source if isinstance(source, bytes) else source.read(MAX_FILE_BYTES + 1)
    if not data:
        raise InputError("the file has 0 bytes")
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"has more than the {MAX_FILE_BYTES} bytes allowed for one image")
    return io.BytesIO(data)


def _decode(stream: BinaryIO, max_side: int | None) -> np.ndarray:
    from PIL import JpegImagePlugin

    is_jpeg = stream.read(3) == b"\xff\xd8\xff"
    stream.seek(0)
    # Image.open refuses by header size, before draft mode could reduce a large JPEG; the plugin itself does not.
    image: Image.Image = JpegImagePlugin.JpegImageFile(stream) if is_jpeg else _open_other(stream)
    with image:
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            _draft(image, max_side)
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise InputError(f"{width} x {height} pixels are more than the {MAX_PIXELS} allowed; scale the image down")
        image.load()
        return _upright(_to_rgb(image), _orientation(image))


def _open_other(stream: BinaryIO) -> Image.Image:
    head = stream.read(64)
    stream.seek(0)
    formats = _heif() if _is_heif(head) else _formats()
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(stream, formats=formats)


def _formats() -> list[str]:
    """Those of FORMATS that this Pillow has; only their plugins are imported, of the fifty that there are."""
    for plugin in FORMATS.values():
        with contextlib.suppress(ImportError):  # a Pillow before AVIF
            importlib.import_module(f"PIL.{plugin}ImagePlugin")
    return [name for name in FORMATS if name in Image.OPEN]


def _is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS and b"avif" not in head[: int.from_bytes(head[:4])]


def _heif() -> list[str]:
    """The name of the format that pillow-heif adds to Pillow. Its decoder turns the image upright itself."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise InputError("is HEIC: run `pip install 'edgekit[heif]'`, or convert it to JPEG or PNG") from None
    register_heif_opener()
    return ["HEIF"]


def _draft(image: Any, max_side: int | None) -> None:
    width, height = image.size
    pixels = width * height
    # libjpeg holds every coefficient of a progressive or multi-scan file in memory, at any output scale.
    limit = MAX_PIXELS if _needs_whole_image(image) else MAX_JPEG_PIXELS
    if pixels > limit:
        raise InputError(f"{width} x {height} pixels are more than the {limit} allowed; scale the image down")
    if max_side is not None:
        scale = min(width, height) // max(max_side, 1)
    else:
        scale = math.ceil(math.sqrt(pixels / MAX_PIXELS))
        scale = next(s for s in (1, 2, 4, 8) if s >= scale)
    if scale > 1:
        scale = next(s for s in (8, 4, 2, 1) if s <= scale)
        image.draft(None, (max(width // scale, 1), max(height // scale, 1)))


def _needs_whole_image(image: Any) -> bool:
    if "progressive" in image.info:
        return True
    end = image.fp.tell()  # Pillow stops reading right after the first scan's header
    length = 6 + 2 * image.layers  # of that header, when the one scan holds every component
    image.fp.seek(end - length)
    header = image.fp.read(length)
    return bool(header[:3] != bytes([0, length, image.layers]))


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _wide_to_rgb(image)
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.new("RGB", rgba.size, "white")
        image.paste(rgba, (0, 0), rgba)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _wide_to_rgb(image: Image.Image) -> np.ndarray:
    values = np.asarray(image)
    if values.dtype.kind not in "iu" or int(values.min()) < 0 or int(values.max()) > 65535:
        raise InputError("32-bit pixels have no agreed range; convert the image to 8 or 16 bits")
    grey = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return np.repeat(grey[:, :, None], 3, axis=2)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # a damaged EXIF block says nothing about the pixels
        return 1
    return value if isinstance(value, int) else 1


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    if orientation in (5, 6, 7, 8):
        array = array.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def preprocess(image: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Scale and crop uint8 [H,W,3] RGB to uint8 [spec.size[0],spec.size[1],3] as `timm.data.create_transform` does.

    Equal to timm's evaluation transform before ToTensor, for crop modes center, squash and border. Only where timm's
    intermediate would pass MAX_PIXELS (a strip of 1 x 20,000 pixels) is the crop taken in the same step as the scaling.
    Raises InputError for another dtype or shape, UsageError for an unknown interpolation.
    """
    if image.dtype.name != "uint8" or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"an image must be uint8 [H,W,3], not {image.dtype} {list(image.shape)}")
    filters = Image.Resampling.__members__
    if spec.interpolation.upper() not in filters:
        raise UsageError(f"interpolation {spec.interpolation!r} is not one of {', '.join(filters).lower()}")
    resample = filters[spec.interpolation.upper()]
    fill = tuple(round(255 * v) for v in spec.mean) if spec.crop_mode == "border" else (0, 0, 0)
    return _scale_and_crop(image, _scaled_size(image.shape[:2], spec), spec.size, resample, fill)


def _scaled_size(shape: tuple[int, ...], spec: InputSpec) -> tuple[int, int]:
    height, width = shape
    target_h, target_w = (math.floor(side / spec.crop_pct) for side in spec.size)
    if spec.crop_mode == "squash":
        return target_h, target_w
    if spec.crop_mode != "border" and target_h == target_w:
        long = int(target_h * max(height, width) / min(height, width))
        return (target_h, long) if height <= width else (long, target_h)
    pick = max if spec.crop_mode == "border" else min
    ratio = pick(height / target_h, width / target_w)
    return max(round(height / ratio), 1), max(round(width / ratio), 1)


def _scale_and_crop(
    array: np.ndarray, scaled: tuple[int, int], size: tuple[int, int], resample: Any, fill: tuple[int, ...]
) -> np.ndarray:
    image = Image.fromarray(array)
    (height, width), (out_h, out_w) = scaled, size
    top, left = max(round((height - out_h) / 2), 0), max(round((width - out_w) / 2), 0)
    seen_h, seen_w = min(height, out_h), min(width, out_w)
    if height * width > MAX_PIXELS:
        down, right = array.shape[0] / height, array.shape[1] / width
        box = (left * right, top * down, (left + seen_w) * right, (top + seen_h) * down)
        image = image.resize((seen_w, seen_h), resample, box=box)
    else:
        if image.size != (width, height):
            image = image.resize((width, height), resample)
        image = image.crop((left, top, left + seen_w, top + seen_h))
    if (seen_h, seen_w) != size:
        canvas = Image.new("RGB", (out_w, out_h), fill)
        canvas.paste(image, ((out_w - seen_w) // 2, (out_h - seen_h) // 2))
        image = canvas
    return np.array(image)


class Folder:
    """The images under a folder, streamed in sorted order; the first-level subfolder is an image's label.

    Files that cannot be decoded, and links that leave the folder, are left out and listed in `skipped` as
    (name, reason); `left_out` are images of a kind that nothing here reads. Links to folders are not followed, names
    that start with a dot are not images.
    Raises InputError when the folder is missing, holds no image or over half of its images are of such kinds, and on
    iteration when none, or less than half of all, could be decoded.
    """

    def __init__(self, path: Path, spec: InputSpec) -> None:
        self.path, self.spec = Path(path), spec
        self.skipped: list[tuple[str, str]] = []
        self._part = ""
        scanned = scan(self.path)
        self._names, self.left_out = scanned.names, scanned.left_out
        self._outside = [(shown(name), "a link that leaves the folder") for name in scanned.outside]
        if not self._names:
            raise InputError(f"{shown(str(path))}: holds no image ({' '.join(sorted(readable()))})")

    @property
    def name(self) -> str:
        """The folder's own name, without the path to it, and which part of it this is."""
        return shown(self.path.resolve().name) + self._part

    @property
    def names(self) -> Sequence[str]:
        """The images' paths below the folder, in posix form, sorted."""
        return self._names

    @property
    def outside(self) -> Sequence[tuple[str, str]]:
        """Links that leave the folder, by name, with the reason why they are not read."""
        return self._outside

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[Picture]:
        self.skipped = list(self._outside)
        good = 0
        for name in self._names:
            try:
                image = preprocess(load_image(self.path / name, name=name), self.spec)
            except InputError as error:
                self.skipped.append((shown(name), str(error).removeprefix(f"{shown(name)}: ")))
                continue
            good += 1
            yield Picture(shown(name), name.split("/")[0] if "/" in name else None, image)
        first, reason = self.skipped[-1] if self.skipped else ("", "")
        if not good:
            raise InputError(f"{shown(str(self.path))}: none of {len(self)} images can be read; {first}: {reason}")
        if (lost := len(self.skipped) + len(self.left_out.names)) > good:
            raise MostLeftOutError(
                f"{shown(str(self.path))}: {lost} of {lost + good} images are left out or cannot be read; "
                f"{first}: {reason}"
            )

    def only(self, names: Collection[str], part: str) -> Folder:
        """The same folder, of which only the images called `names` are read: `part` says which these are."""
        folder = copy.copy(self)
        folder._names, folder._part = tuple(name for name in self._names if name in names), f" ({part})"
        folder.skipped, folder._outside, folder.left_out = [], [], LeftOut()
        return folder

    def digest(self) -> str:
        """Return the sha256 (hex) over every image's relative name and bytes; raises InputError on a vanished file."""
        whole = hashlib.sha256()
        for name in self._names:
            try:
                with open(self.path / name, "rb") as stream:
                    content = hashlib.file_digest(stream, "sha256").digest()
            except OSError as error:
                raise InputError(f"{shown(name)}: cannot be read ({error.strerror})") from None
            whole.update(hashlib.sha256(os.fsencode(name)).digest() + content)
        return whole.hexdigest()
